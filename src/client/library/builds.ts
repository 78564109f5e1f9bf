// Builds in place: a directory of the engine's machine becomes an image, its steps told as they run.
import { readFileSync } from "node:fs"
import { stat } from "node:fs/promises"
import { resolve } from "node:path"
import { failure } from "../../base/errors.ts"
import type {
  AskView,
  BuildLine,
  VertexStatusView,
  VertexView,
  WarningView,
  WireBuildInput,
} from "../../wire/build.ts"
import { ApiFailure, type EngineClient, readLines } from "../client.ts"
import type { Abortable } from "./container.ts"

/** What an image is built from and how it is called. One of `directory`, `tar`, `url` and `dockerfileText` says from what. */
export interface BuildInPlaceOptions extends Abortable {
  /** Of the machine that the engine runs on; nothing of it is sent. */
  readonly directory?: string
  /** An archive of the files. */
  readonly tar?: AsyncIterable<Uint8Array>
  /** Of an archive, a Dockerfile, or a Git repository. */
  readonly url?: string
  /** Path within the files; "Dockerfile" by default. */
  readonly dockerfile?: string
  /** Text that is the Dockerfile, instead of a file. */
  readonly dockerfileText?: string
  readonly tags?: readonly string[]
  readonly target?: string
  readonly buildArguments?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly platforms?: readonly string[]
  readonly noCache?: boolean
  readonly pull?: boolean
  readonly network?: string
  /** By id: given to steps that mount them, and sent only then. */
  readonly secrets?: Readonly<Record<string, string | Uint8Array>>
  /** Archives instead of an image in the engine's store: each is handed its bytes, and waited for. */
  readonly outputs?: readonly {
    /** "local" is a tar of the files of the result. */
    readonly type: "tar" | "oci" | "docker" | "local"
    readonly write: (bytes: AsyncIterable<Uint8Array>) => Promise<void>
  }[]
  /** Further fields of the engine's own request. */
  readonly more?: Partial<WireBuildInput>
}

export type BuildProgress =
  | { readonly type: "step"; readonly step: VertexView }
  | { readonly type: "part"; readonly part: VertexStatusView }
  | {
      readonly type: "output"
      readonly step: string
      readonly stream: "stdout" | "stderr"
      readonly text: string
    }
  | { readonly type: "warning"; readonly message: string; readonly warning: WarningView }

export interface BuildResult {
  /** "sha256:…"; absent when only archives were made. */
  readonly imageId?: string
  /** What the exports say: "image.name", "containerimage.digest" … */
  readonly response: Readonly<Record<string, string>>
}

/**
 * A build that runs: an async iterable of its progress. `result` resolves with what was made, and rejects with the
 * engine's words; it may be awaited without reading the progress.
 */
export class Build implements AsyncIterable<BuildProgress> {
  readonly result: Promise<BuildResult>
  readonly #waiting: BuildProgress[] = []
  #wake: (() => void) | undefined
  #ended = false

  constructor(client: EngineClient, options: BuildInPlaceOptions) {
    this.result = run(client, options, (progress) => {
      this.#waiting.push(progress)
      this.#wake?.()
    }).finally(() => {
      this.#ended = true
      this.#wake?.()
    })
    // Whoever reads the progress hears of the failure there.
    this.result.catch(() => undefined)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<BuildProgress> {
    for (;;) {
      const next = this.#waiting.shift()
      if (next !== undefined) yield next
      else if (this.#ended) break
      else
        await new Promise<void>((wake) => {
          this.#wake = wake
        })
    }
    await this.result
  }
}

async function run(
  client: EngineClient,
  options: BuildInPlaceOptions,
  tell: (progress: BuildProgress) => void,
): Promise<BuildResult> {
  const id = Buffer.from(crypto.getRandomValues(new Uint8Array(12))).toString("hex")
  const body = { ...(await requestOf(options)), Id: id }
  const answers: Promise<void>[] = []
  const sent = await client
    .send("POST", "/builds", { body, signal: options.signal })
    .catch((error: unknown) => {
      if (error instanceof ApiFailure && error.status === 404)
        throw failure("not-implemented", "this engine does not build in place: use images.build with a tar", {
          cause: error,
        })
      throw error
    })
  for await (const line of readLines<BuildLine>(sent.body)) {
    for (const progress of progressOf(line)) tell(progress)
    if (line.ask !== undefined) {
      const answering = answer(client, `/builds/${id}/asked/${line.ask.number}`, line.ask, options)
      answering.catch(() => undefined)
      answers.push(answering)
    }
    if (line.error !== undefined) throw failure("internal", line.error.message)
    if (line.result !== undefined) {
      await Promise.all(answers)
      return line.result
    }
  }
  throw failure("unavailable", "the engine ended the build without a word")
}

async function requestOf(options: BuildInPlaceOptions): Promise<WireBuildInput> {
  const outputs = options.outputs?.map(({ type }) => ({ Type: type, Attributes: {} }))
  const name = options.tags?.join(",")
  return {
    Context: await contextOf(options),
    DockerfilePath: options.dockerfile,
    Dockerfile: options.dockerfileText,
    Target: options.target,
    BuildArgs: options.buildArguments,
    Labels: options.labels,
    Platforms: options.platforms === undefined ? undefined : [...options.platforms],
    NoCache: options.noCache,
    Pull: options.pull,
    Network: options.network,
    Secrets: Object.keys(options.secrets ?? {}),
    Outputs: outputs ?? [{ Type: "image", Attributes: name === undefined ? {} : { name } }],
    ...options.more,
  }
}

async function contextOf({ directory, tar, url }: BuildInPlaceOptions): Promise<WireBuildInput["Context"]> {
  if (tar !== undefined) return { Type: "sent" }
  if (url !== undefined) return { Type: "remote", Url: url }
  if (directory === undefined) return { Type: "empty" }
  const path = resolve(directory)
  const { dev, ino } = await stat(path, { bigint: true })
  const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()
  return { Type: "directory", Path: path, Device: String(dev), Inode: String(ino), Boot: boot }
}

async function answer(
  client: EngineClient,
  path: string,
  ask: AskView,
  options: BuildInPlaceOptions,
): Promise<void> {
  if (ask.what === "output" || ask.what === "tree") {
    const { body } = await client.send("GET", path, { signal: options.signal })
    await options.outputs?.[Number(ask.id)]?.write(body)
    return
  }
  const secret = ask.what === "secret" ? options.secrets?.[ask.id] : undefined
  const tar = ask.what === "context" && ask.id === "" ? options.tar : undefined
  const stream = tar ?? (secret === undefined ? undefined : once(secret))
  await client.call("POST", path, {
    ...(stream === undefined ? { query: { absent: true } } : { stream }),
    signal: options.signal,
  })
}

async function* once(bytes: string | Uint8Array): AsyncGenerator<Uint8Array> {
  yield typeof bytes === "string" ? Buffer.from(bytes) : bytes
}

const decoded = (text: string): string => Buffer.from(text, "base64").toString("utf8")

function* progressOf(line: BuildLine): Generator<BuildProgress> {
  for (const step of line.vertexes ?? []) yield { type: "step", step }
  for (const part of line.statuses ?? []) yield { type: "part", part }
  for (const { vertex, stream, data } of line.logs ?? [])
    yield { type: "output", step: vertex, stream: stream === 2 ? "stderr" : "stdout", text: decoded(data) }
  for (const warning of line.warnings ?? [])
    yield { type: "warning", message: decoded(warning.short), warning }
}
