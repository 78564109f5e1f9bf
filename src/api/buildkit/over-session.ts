// POST /build?version=2, docker's way to BuildKit before buildx: parameters in the query, the context by a session or an
// upload beside it, progress as status messages in lines of JSON.
import { failure } from "../../base/errors.ts"
import { newId } from "../../base/ids.ts"
import { parseJson, parseJsonObject } from "../../base/json-bounded.ts"
import type { Builder } from "../../build/build.ts"
import { StatusResponse } from "../../wire/buildkit/control.ts"
import type { Call } from "../call.ts"
import { receiveBytes } from "../stream/bytes.ts"
import { tagsOf } from "../translate/build.ts"
import { solve } from "./control/solve.ts"
import { GrpcFailure } from "./grpc/status.ts"
import type { Job, Jobs } from "./solve/job.ts"

/** Milliseconds that a build waits for its context, and an uploaded context for its build. */
const PATIENCE = 10_000

type Attributes = Map<string, string>

/** Serves both requests of such a build: the one that builds, and the one that uploads its context. */
export class OverSession {
  readonly #builder: Builder
  readonly #jobs: Jobs
  readonly #uploads = new Map<string, PromiseWithResolvers<Upload>>()

  constructor(builder: Builder, jobs: Jobs) {
    this.#builder = builder
    this.#jobs = jobs
  }

  async build(call: Call): Promise<void> {
    const { query, request } = call
    const id = query.text("buildid")
    if (id.startsWith("upload-request:")) return this.#upload(call, id.slice("upload-request:".length))
    const remote = query.text("remote")
    const attributes = frontendAttributes(call)
    const exporter = exporterOf(query.text("outputs"), query.all("t"))
    const upload =
      remote === "upload-request"
        ? await this.#awaitUpload(id, call.gone)
        : remote === ""
          ? { bytes: receiveBytes(request), done: () => {} }
          : undefined
    if (upload === undefined && remote !== "client-session") attributes.set("context", remote)
    const output = call.stream({ "Content-Type": "application/json" })
    const write = (line: unknown) => output.write(`${JSON.stringify(line)}\r\n`)
    const told: Promise<void>[] = []
    try {
      const response = await solve(
        this.#builder,
        this.#jobs,
        {
          ...EMPTY,
          ref: id === "" ? newId() : id,
          session: query.text("session"),
          frontend: "dockerfile.v0",
          frontendAttributes: attributes,
          entitlements: attributes.get("force-network-mode") === "host" ? ["network.host"] : [],
          exporters: exporter === undefined ? [] : [exporter],
        },
        call.gone,
        {
          ...(upload === undefined ? {} : { upload: upload.bytes }),
          begun: (job) => void told.push(tell(job, write, call.gone)),
        },
      )
      await Promise.all(told)
      const image = response.get("containerimage.config.digest") ?? response.get("containerimage.digest")
      if (image !== undefined) write({ id: "moby.image.id", aux: { ID: image } })
      if (image !== undefined && query.flag("q")) write({ stream: `${image}\n` })
    } catch (error) {
      await Promise.all(told)
      const message = error instanceof GrpcFailure ? error.message : String(error)
      write({ errorDetail: { message }, error: message })
    } finally {
      upload?.done()
      output.end()
    }
  }

  /** Holds the upload's request until the build that waits for it has its bytes. */
  async #upload(call: Call, id: string): Promise<void> {
    if (id === "") throw failure("invalid", "an upload needs the id of its build")
    const finished = Promise.withResolvers<void>()
    const refuse = () => finished.reject(failure("invalid", `no build waits for the context of ${id}`))
    const timer = setTimeout(refuse, PATIENCE)
    call.gone.addEventListener("abort", refuse)
    this.#place(id).resolve({
      bytes: observed(receiveBytes(call.request), () => clearTimeout(timer)),
      done: () => finished.resolve(),
    })
    try {
      await finished.promise
    } finally {
      clearTimeout(timer)
      this.#uploads.delete(id)
    }
    if (!call.answered) call.empty(200)
  }

  async #awaitUpload(id: string, signal: AbortSignal): Promise<Upload> {
    const late = Promise.withResolvers<never>()
    const refuse = () => late.reject(failure("invalid", `no context was uploaded for the build ${id}`))
    const timer = setTimeout(refuse, PATIENCE)
    signal.addEventListener("abort", refuse)
    try {
      return await Promise.race([this.#place(id).promise, late.promise])
    } finally {
      clearTimeout(timer)
      signal.removeEventListener("abort", refuse)
      this.#uploads.delete(id)
    }
  }

  #place(id: string): PromiseWithResolvers<Upload> {
    const place = this.#uploads.get(id) ?? Promise.withResolvers<Upload>()
    this.#uploads.set(id, place)
    return place
  }
}

interface Upload {
  readonly bytes: AsyncIterable<Uint8Array>
  done(): void
}

/** The same bytes; tells when somebody begins to read them. */
async function* observed(bytes: AsyncIterable<Uint8Array>, begun: () => void): AsyncGenerator<Uint8Array> {
  begun()
  yield* bytes
}

/** A request to solve that asks for nothing. */
const EMPTY = {
  definition: undefined,
  exporterDeprecated: "",
  exporterAttributesDeprecated: new Map<string, string>(),
  cache: undefined,
  frontendInputs: new Map(),
  internal: false,
  sourcePolicy: new Uint8Array(0),
  sessionExporter: false,
} as const

/** Writes a build's progress as status messages. */
async function tell(job: Job, write: (line: unknown) => boolean, gone: AbortSignal): Promise<void> {
  for await (const status of job.progress.read(gone)) {
    const aux = Buffer.from(StatusResponse.encode(status)).toString("base64")
    if (write({ id: "moby.buildkit.trace", aux })) continue
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** The frontend's attributes of a query's parameters, as dockerd derives them. */
function frontendAttributes({ query }: Call): Attributes {
  const attributes: Attributes = new Map()
  const set = (key: string, value: string) => {
    if (value !== "") attributes.set(key, value)
  }
  set("filename", query.text("dockerfile"))
  set("target", query.text("target"))
  set("platform", query.text("platform"))
  if (query.flag("nocache")) attributes.set("no-cache", "")
  set("image-resolve-mode", query.flag("pull") ? "pull" : "local")
  addTexts(attributes, "build-arg:", query.text("buildargs"), "build args")
  addTexts(attributes, "label:", query.text("labels"), "labels")
  set("cache-from", namesOf(query.text("cachefrom"), "cachefrom").join(","))
  set(
    "add-hosts",
    query
      .all("extrahosts")
      .flatMap((text) => text.split(","))
      .map(hostField)
      .filter(Boolean)
      .join(","),
  )
  set("shm-size", query.text("shmsize") === "0" ? "" : query.text("shmsize"))
  set("cgroup-parent", query.text("cgroupparent"))
  set("ulimit", ulimitFields(query.text("ulimits")))
  if (query.flag("squash")) attributes.set("squash", "true")
  const network = query.text("networkmode")
  if (network === "host" || network === "none") attributes.set("force-network-mode", network)
  else if (network !== "" && network !== "default")
    throw failure("invalid", `network mode "${network}" not supported by buildkit`)
  return attributes
}

/** "name:address" as "name=address". */
const hostField = (text: string): string => text.replace(/^([^:=]+)[:=]/, "$1=")

function addTexts(attributes: Attributes, prefix: string, text: string, what: string): void {
  if (text === "") return
  for (const [key, value] of Object.entries(parseJsonObject(Buffer.from(text), `the ${what}`)))
    if (typeof value === "string") attributes.set(`${prefix}${key}`, value)
}

function namesOf(text: string, what: string): string[] {
  if (text === "" || text === "null") return []
  const names = parseJson(Buffer.from(text), what)
  if (!Array.isArray(names) || !names.every((name) => typeof name === "string"))
    throw failure("invalid", `bad parameter: ${what} must be a list of names`)
  return names.filter((name) => name !== "")
}

function ulimitFields(text: string): string {
  if (text === "" || text === "null") return ""
  const list = parseJson(Buffer.from(text), "the ulimits")
  if (!Array.isArray(list)) throw failure("invalid", "error reading ulimit settings: it must be a list")
  return list
    .map((one: { Name?: unknown; Soft?: unknown; Hard?: unknown } | null) => {
      if (typeof one?.Name !== "string")
        throw failure("invalid", "error reading ulimit settings: a name is missing")
      return `${one.Name}=${Number(one.Soft ?? 0)}:${Number(one.Hard ?? 0)}`
    })
    .join(",")
}

/** The one output that such a build may have; none given is the local store. */
function exporterOf(text: string, tags: readonly string[]) {
  const outputs = text === "" || text === "null" ? [] : parseJson(Buffer.from(text), "outputs")
  if (!Array.isArray(outputs)) throw failure("invalid", "invalid outputs specified: it must be a list")
  if (outputs.length > 1) throw failure("invalid", "multiple outputs not supported")
  const output = outputs[0] as
    | { Type?: unknown; Attrs?: Readonly<Record<string, unknown>> | null }
    | undefined
  const type = typeof output?.Type === "string" ? output.Type : "moby"
  if (type === "cacheonly") return undefined
  const attributes = new Map<string, string>()
  for (const [key, value] of Object.entries(output?.Attrs ?? {}))
    if (typeof value === "string") attributes.set(key, value)
  const names = tagsOf(tags)
  if (names.length > 0 && (type === "moby" || type === "image")) attributes.set("name", names.join(","))
  return { type, attributes }
}
