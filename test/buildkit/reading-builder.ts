// A builder that builds nothing but reads all that a client gives it, and does what lines of the Dockerfile tell it:
//   # read            every file of the context          # secret ID    # ssh ID    # account DOMAIN
//   # say TEXT        a line of output                   # warn TEXT    # fail TEXT    # wait    # later
import { createHash } from "node:crypto"
import { once } from "node:events"
import { failure } from "../../src/base/errors.ts"
import { writeTar } from "../../src/base/tar-writer.ts"
import {
  type Builder,
  BuildFailure,
  type BuildRequest,
  type ContextSource,
  type ExportOptions,
  type ReportBuild,
  type Solved,
  type SyncedEntry,
} from "../../src/build/build.ts"
import { hostPlatform } from "../../src/oci/platform.ts"
import { BUILT_ID, createFakeBuilder } from "../api/fake-builder.ts"

export interface ReadFile extends Omit<SyncedEntry, "open"> {
  readonly content?: string
}

/** What a builder of this kind has seen. */
export interface Seen {
  readonly requests: BuildRequest[]
  readonly exports: ExportOptions[]
  /** Files of the last context that was read. */
  files: ReadFile[]
  /** Answers to secrets, agents and accounts, in the order asked. */
  readonly told: string[]
  /** Steps that have begun to wait. */
  waiting: number
  /** Builds whose signal was aborted while they waited. */
  cancelled: number
  released: number
}

export async function collect(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of bytes) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const digest = (text: string): string => `sha256:${createHash("sha256").update(text).digest("hex")}`

async function dockerfileOf(request: BuildRequest, signal: AbortSignal): Promise<string> {
  const source = request.dockerfileContext ?? request.context
  if (source.type !== "synced") return "# read\n"
  const path = request.dockerfilePath ?? "Dockerfile"
  const filter = { include: [], exclude: [], follow: [path] }
  let text: string | undefined
  for await (const entry of source.sync.entries(source.name, filter, signal))
    if (entry.path === path) text = (await collect(entry.open())).toString()
  if (text === undefined)
    throw failure("not-found", `failed to read dockerfile: open ${path}: no such file or directory`)
  return text
}

async function readContext(context: ContextSource, signal: AbortSignal): Promise<ReadFile[]> {
  if (context.type === "tar")
    return [{ ...EMPTY, path: "(tar)", content: (await collect(context.bytes)).toString("latin1") }]
  if (context.type === "layout")
    return [
      { ...EMPTY, path: context.digest, content: (await collect(context.read(context.digest))).toString() },
    ]
  if (context.type !== "synced") return []
  const found: ReadFile[] = []
  const filter = { include: [], exclude: ["skipped", "schräg/x, y"], follow: [] }
  for await (const entry of context.sync.entries(context.name, filter, signal)) {
    const { open, ...facts } = entry
    const isFile = (entry.mode & 0o170000) === 0o100000 && entry.link === ""
    const wanted = isFile && !entry.path.endsWith(".unread")
    found.push(wanted ? { ...facts, content: (await collect(open())).toString("latin1") } : facts)
  }
  return found
}

const EMPTY = { mode: 0o100644, uid: 0, gid: 0, size: 0, mtime: 0n, link: "", xattrs: new Map() }

/** Asks the agent for its keys, in its protocol. */
async function agentAnswer(request: BuildRequest, id: string): Promise<string> {
  const agent = await request.ssh(id)
  if (agent === undefined) return `no agent ${id}`
  agent.write(Buffer.from([0, 0, 0, 1, 11]))
  const [answer] = (await once(agent, "data")) as [Buffer]
  agent.destroy()
  return answer.toString("hex")
}

export function createReadingBuilder(): { readonly builder: Builder; readonly seen: Seen } {
  const seen: Seen = { requests: [], exports: [], files: [], told: [], waiting: 0, cancelled: 0, released: 0 }

  async function solve(request: BuildRequest, report: ReportBuild, signal: AbortSignal): Promise<Solved> {
    seen.requests.push(request)
    const text = await dockerfileOf(request, signal)
    for (const [index, line] of text.split("\n").entries()) {
      const [, word, rest = ""] = /^# (\w+) ?(.*)$/.exec(line) ?? []
      if (word !== undefined) await step(word, rest, index + 1, { request, report, signal, text })
    }
    return {
      id: request.id ?? "",
      request,
      images: [
        {
          platform: hostPlatform(),
          chainId: "",
          layers: [],
          config: undefined as never,
          base: "",
          baseLayers: 0,
          baseHistory: 0,
          materials: [],
        },
      ],
      warnings: [],
      dockerfile: Buffer.from(text),
      startedAt: Date.now(),
      readFile: async (_image, path) => Buffer.from(`contents of ${path}`),
      release: () => {
        seen.released++
      },
    } as Solved
  }

  async function step(
    word: string,
    rest: string,
    line: number,
    {
      request,
      report,
      signal,
      text,
    }: { request: BuildRequest; report: ReportBuild; signal: AbortSignal; text: string },
  ): Promise<void> {
    const name = `[${line}/9] ${word} ${rest}`
    const vertex = { digest: digest(name), inputs: [], name, cached: word === "cached", error: "" }
    const startedAt = Date.now()
    report({ type: "vertex", vertex: { ...vertex, startedAt } })
    const at = startedAt + 1
    try {
      if (word === "read") seen.files = await readContext(request.context, signal)
      if (word === "secret")
        seen.told.push(String(Buffer.from((await request.secrets(rest, signal)) ?? "no secret")))
      if (word === "ssh") seen.told.push(await agentAnswer(request, rest))
      if (word === "account")
        seen.told.push(JSON.stringify((await request.credentials(rest, signal)) ?? "no account"))
      if (word === "say")
        report({ type: "log", vertex: vertex.digest, stream: 1, bytes: Buffer.from(`${rest}\n`), at })
      if (word === "warn")
        report({
          type: "warning",
          vertex: vertex.digest,
          warning: {
            rule: "OddRule",
            description: "Something is odd",
            url: "",
            message: rest,
            file: "Dockerfile",
            lines: [line, line],
          },
          source: Buffer.from(text),
        })
      if (word === "fail")
        throw new BuildFailure("invalid", rest, {
          place: { first: line, last: line },
          file: "Dockerfile",
          source: Buffer.from(text),
          vertex: vertex.digest,
          exitCode: 3,
        })
      if (word === "wait") {
        seen.waiting++
        await stopped(signal)
      }
      if (word === "later") await new Promise((resolve) => setTimeout(resolve, 300))
    } catch (error) {
      if (signal.aborted) seen.cancelled++
      const message = error instanceof Error ? error.message : String(error)
      report({ type: "vertex", vertex: { ...vertex, startedAt, completedAt: Date.now(), error: message } })
      throw error
    }
    report({ type: "vertex", vertex: { ...vertex, startedAt, completedAt: Date.now() } })
  }

  return {
    seen,
    builder: {
      ...createFakeBuilder(),
      solve,
      async export(_solved, options) {
        seen.exports.push(options)
        for (const { type, write, writeTree } of options.exports) {
          if (type === "local") await writeTree?.(tree())
          else await write?.(tree())
        }
        for (const { directory } of options.cacheTo)
          await directory?.write(
            { digest: digest("cache"), size: 5, mediaType: "" },
            (async function* () {
              yield Buffer.from("cache")
            })(),
            new AbortController().signal,
          )
        const names = options.exports[0]?.attributes.get("name")
        return {
          response: new Map([
            ["containerimage.digest", BUILT_ID],
            ["containerimage.config.digest", BUILT_ID],
            ...(names === undefined ? [] : ([["image.name", names]] as const)),
          ]),
          imageId: BUILT_ID,
        }
      },
      async call(request, what, _report, signal) {
        const text = await dockerfileOf(request, signal)
        return { text: `${what} of ${text.length} bytes\n`, json: { what }, statusCode: 0 }
      },
    },
  }
}

const stopped = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    const stop = () => reject(failure("cancelled", "context canceled"))
    if (signal.aborted) stop()
    signal.addEventListener("abort", stop)
  })

/** What every export of this builder is: a small tree, in the order of names. */
const tree = () =>
  writeTar([
    { name: "bin", type: "directory", mode: 0o755, mtime: 1_700_000_000 },
    { name: "bin/tool", type: "file", mode: 0o755, mtime: 1_700_000_000, body: Buffer.from("#!tool") },
    { name: "empty", type: "file", mode: 0o600, body: new Uint8Array(0) },
    { name: "large", type: "file", mode: 0o644, body: Buffer.alloc(5 << 20, "x") },
    { name: "link", type: "symlink", mode: 0o777, linkName: "bin/tool" },
  ])
