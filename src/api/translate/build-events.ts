// What a running build tells, in the shapes of buildx's rawjson: steps, their parts, their output, warnings.
import type { BuildEvent, BuildHistory, BuildWarning, Vertex } from "../../build/build.ts"
import type {
  BuildHistoryView,
  BuildLine,
  VertexLogView,
  VertexStatusView,
  VertexView,
  WarningView,
} from "../../wire/wire.ts"
import { rfc3339 } from "./times.ts"

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64")

const time = <K extends string>(key: K, at: number | undefined): { [P in K]?: string } =>
  at === undefined ? {} : ({ [key]: rfc3339(at) } as { [P in K]: string })

const vertexView = (vertex: Vertex): VertexView => ({
  digest: vertex.digest,
  ...(vertex.inputs.length > 0 ? { inputs: [...vertex.inputs] } : {}),
  name: vertex.name,
  ...time("started", vertex.startedAt),
  ...time("completed", vertex.completedAt),
  ...(vertex.cached ? { cached: true } : {}),
  ...(vertex.error === "" ? {} : { error: vertex.error }),
  ...(vertex.group ? { progressGroup: { id: vertex.group, name: vertex.group } } : {}),
})

const statusView = (event: Extract<BuildEvent, { type: "status" }>): VertexStatusView => ({
  id: event.id,
  vertex: event.vertex,
  name: event.id,
  ...(event.total > 0 ? { total: event.total } : {}),
  current: event.current,
  timestamp: rfc3339(event.at),
  ...time("started", event.startedAt),
  ...time("completed", event.completedAt),
})

const logView = (event: Extract<BuildEvent, { type: "log" }>): VertexLogView => ({
  vertex: event.vertex,
  stream: event.stream,
  data: base64(event.bytes),
  timestamp: rfc3339(event.at),
})

const warningView = (vertex: string, warning: BuildWarning, source: Uint8Array): WarningView => {
  const [first, last] = warning.lines
  return {
    vertex,
    level: 1,
    short: Buffer.from(
      warning.rule === "" ? warning.message : `${warning.rule}: ${warning.message}`,
    ).toString("base64"),
    ...(warning.description === "" ? {} : { detail: [Buffer.from(warning.description).toString("base64")] }),
    ...(warning.url === "" ? {} : { url: warning.url }),
    ...(first === 0
      ? {}
      : {
          sourceInfo: { filename: warning.file, data: base64(source), language: "Dockerfile" },
          range: [{ start: { line: first, character: 0 }, end: { line: last, character: 0 } }],
        }),
  }
}

/** Gathers events into few lines: `flush` gives what has come since, undefined when nothing has. */
export class EventLines {
  #line: BuildLine = {}
  #some = false

  /** Whether the first event since the last flush has just come. */
  add(event: BuildEvent): boolean {
    const first = !this.#some
    switch (event.type) {
      case "vertex":
        this.#line.vertexes = [...(this.#line.vertexes ?? []), vertexView(event.vertex)]
        break
      case "status":
        this.#line.statuses = [...(this.#line.statuses ?? []), statusView(event)]
        break
      case "log":
        this.#line.logs ??= []
        this.#line.logs.push(logView(event))
        break
      case "warning":
        this.#line.warnings = [
          ...(this.#line.warnings ?? []),
          warningView(event.vertex, event.warning, event.source),
        ]
        break
      default:
        return false
    }
    this.#some = true
    return first
  }

  flush(): BuildLine | undefined {
    if (!this.#some) return undefined
    const line = this.#line
    this.#line = {}
    this.#some = false
    return line
  }
}

export const historyView = (record: BuildHistory): BuildHistoryView => ({
  Id: record.id,
  Started: rfc3339(record.startedAt),
  ...(record.endedAt === 0 ? {} : { Completed: rfc3339(record.endedAt) }),
  Target: record.target,
  Error: record.error,
  Dockerfile: record.dockerfilePath,
  Context: record.context,
  ImageId: record.imageId,
  Steps: record.steps,
  CachedSteps: record.cachedSteps,
  Attributes: { ...record.attributes },
})
