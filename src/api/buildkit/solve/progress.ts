// A build's progress for those who ask for its status: from its beginning, in batches, and bounded however slowly they read.
import type { BuildEvent, Vertex } from "../../../build/build.ts"
import type {
  StatusResponse,
  VertexLog,
  VertexStatus,
  VertexWarning,
  Vertex as WireVertex,
} from "../../../wire/buildkit/control.ts"
import type { Decoded, Given } from "../../../wire/buildkit/protobuf.ts"
import { timestamp } from "../timestamp.ts"

/** What a status message holds. */
export type Status = Given<Decoded<typeof StatusResponse>>

type StatusPart = Given<Decoded<typeof VertexStatus>>
type Log = Given<Decoded<typeof VertexLog>>
type Warning = Given<Decoded<typeof VertexWarning>>

/** Milliseconds between two batches to one reader. */
const PACE = 50
/** Bytes of output that wait for a reader, or are kept for one that comes late; older ones go first. */
const MOST_OUTPUT = 2 << 20
/** Most bytes of output in one message. */
const MOST_IN_ONE = 1 << 20

/** What has happened and is not told yet: the newest of each step and part, every warning, the last of the output. */
class Pending {
  readonly vertexes = new Map<string, Given<Decoded<typeof WireVertex>>>()
  readonly statuses = new Map<string, StatusPart>()
  logs: Log[] = []
  readonly warnings: Warning[] = []
  #bytes = 0

  log(log: Log): void {
    this.logs.push(log)
    this.#bytes += log.msg?.length ?? 0
    while (this.#bytes > MOST_OUTPUT && this.logs.length > 1)
      this.#bytes -= this.logs.shift()?.msg?.length ?? 0
  }

  get bytes(): number {
    return this.#bytes
  }

  get empty(): boolean {
    return this.vertexes.size + this.statuses.size + this.logs.length + this.warnings.length === 0
  }

  copyTo(other: Pending): void {
    for (const [digest, vertex] of this.vertexes) other.vertexes.set(digest, vertex)
    for (const [key, status] of this.statuses) other.statuses.set(key, status)
    for (const log of this.logs) other.log(log)
    other.warnings.push(...this.warnings)
  }

  take(): Status {
    const logs: Log[] = []
    for (let bytes = 0; bytes < MOST_IN_ONE; ) {
      const log = this.logs.shift()
      if (log === undefined) break
      bytes += log.msg?.length ?? 0
      this.#bytes -= log.msg?.length ?? 0
      logs.push(log)
    }
    const status = {
      vertexes: [...this.vertexes.values()],
      statuses: [...this.statuses.values()],
      logs,
      warnings: this.warnings.splice(0),
    }
    this.vertexes.clear()
    this.statuses.clear()
    return status
  }
}

export class Progress {
  readonly #sofar = new Pending()
  readonly #readers = new Set<{ readonly pending: Pending; wake(): void }>()
  #over = false

  /** Of output that is kept. */
  get bytes(): number {
    return this.#sofar.bytes
  }

  report = (event: BuildEvent): void => {
    if (this.#over) return
    for (const to of [this.#sofar, ...[...this.#readers].map(({ pending }) => pending)]) note(to, event)
    for (const reader of this.#readers) reader.wake()
  }

  /** A warning of the client's own frontend. */
  warn(warning: Warning): void {
    for (const to of [this.#sofar, ...[...this.#readers].map(({ pending }) => pending)])
      to.warnings.push(warning)
    for (const reader of this.#readers) reader.wake()
  }

  /** Nothing more will come. */
  end(): void {
    this.#over = true
    for (const reader of this.#readers) reader.wake()
  }

  /** From the beginning to the end; steps and parts only as they are when they are told. */
  async *read(signal: AbortSignal): AsyncGenerator<Status> {
    const reader = { pending: new Pending(), wake: () => {} }
    const wake = () => reader.wake()
    this.#sofar.copyTo(reader.pending)
    this.#readers.add(reader)
    signal.addEventListener("abort", wake)
    try {
      for (let told = 0; !signal.aborted; ) {
        if (reader.pending.empty) {
          if (this.#over) return
          await new Promise<void>((resolve) => {
            reader.wake = resolve
          })
          continue
        }
        const pause = told + PACE - performance.now()
        if (pause > 0 && !this.#over) await new Promise((resolve) => setTimeout(resolve, pause))
        told = performance.now()
        yield reader.pending.take()
      }
    } finally {
      signal.removeEventListener("abort", wake)
      this.#readers.delete(reader)
    }
  }
}

function note(pending: Pending, event: BuildEvent): void {
  if (event.type === "vertex") pending.vertexes.set(event.vertex.digest, wireVertex(event.vertex))
  else if (event.type === "status") {
    pending.statuses.set(`${event.vertex}\0${event.id}`, {
      id: event.id,
      vertex: event.vertex,
      current: event.current,
      total: event.total,
      timestamp: timestamp(event.at),
      started: timestamp(event.startedAt),
      completed: timestamp(event.completedAt),
    })
  } else if (event.type === "log") {
    const { vertex, stream, bytes, at } = event
    // The bytes may be those of a buffer that is used again.
    pending.log({ vertex, timestamp: timestamp(at), stream, msg: Uint8Array.from(bytes) })
  } else if (event.type === "warning") pending.warnings.push(wireWarning(event))
}

const wireVertex = (vertex: Vertex) => ({
  digest: vertex.digest,
  inputs: vertex.inputs,
  name: vertex.name,
  cached: vertex.cached,
  started: timestamp(vertex.startedAt),
  completed: timestamp(vertex.completedAt),
  error: vertex.error,
  progressGroup:
    vertex.group === undefined || vertex.group === "" ? undefined : { id: vertex.group, name: vertex.group },
})

function wireWarning({ vertex, warning, source }: BuildEvent & { type: "warning" }): Warning {
  const [first, last] = warning.lines
  return {
    vertex,
    level: 1,
    short: Buffer.from(`${warning.rule}: ${warning.message} (line ${first})`),
    detail: [Buffer.from(warning.description)],
    url: warning.url,
    source: { filename: warning.file, data: source, language: "Dockerfile" },
    ranges: [{ start: { line: first, character: 0 }, end: { line: last, character: 0 } }],
  }
}
