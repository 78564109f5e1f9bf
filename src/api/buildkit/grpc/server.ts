// A gRPC server over connections that exist already: methods by path, deadlines, and every end told as a status.
import http2, { type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2"
import type { Duplex } from "node:stream"
import { createLog } from "../../../base/log.ts"
import type { Given, Message } from "../../../wire/buildkit/protobuf.ts"
import { Messages } from "./messages.ts"
import { CODE, GrpcFailure, grpcFailure, statusHeaders } from "./status.ts"

const log = createLog("grpc")

/** A call under way, without its messages. */
export interface Caller {
  /** Values of a metadata key. */
  metadata(name: string): readonly string[]
  /** Aborted when the client is gone, cancels, or its deadline passes. */
  readonly signal: AbortSignal
}

/** The same with its messages. */
export interface ServerCall<In, Out> extends Caller {
  receive(): Promise<In | undefined>
  /** Sends the headers at once, with metadata of one's own; else they leave with the first message. */
  begin(metadata: Readonly<Record<string, string>>): void
  send(message: Given<Out>): Promise<void>
}

export interface Method {
  /** Serves one stream until the promise settles; a rejection is its status. */
  serve(stream: ServerHttp2Stream, caller: Caller): Promise<void>
}

/** A method with messages both ways. */
export const duplex = <In, Out>(
  incoming: Message<In>,
  outgoing: Message<Out>,
  run: (call: ServerCall<In, Out>) => Promise<void>,
): Method => ({
  serve(stream, caller) {
    const messages = new Messages(stream, incoming, outgoing)
    return run({
      metadata: (name) => caller.metadata(name),
      signal: caller.signal,
      receive: () => messages.receive(),
      begin: (metadata) => begin(stream, metadata),
      send(message) {
        begin(stream)
        return messages.send(message)
      },
    })
  },
})

/** One request, any number of answers. */
export const streaming = <In, Out>(
  incoming: Message<In>,
  outgoing: Message<Out>,
  run: (request: In, call: ServerCall<In, Out>) => Promise<void>,
): Method =>
  duplex(incoming, outgoing, async (call) => {
    const request = await call.receive()
    if (request === undefined) throw new GrpcFailure(CODE.invalidArgument, "the request has no message")
    await run(request, call)
  })

/** One request, one answer. */
export const unary = <In, Out>(
  incoming: Message<In>,
  outgoing: Message<Out>,
  run: (request: In, caller: Caller) => Promise<Given<Out>> | Given<Out>,
): Method =>
  streaming(incoming, outgoing, async (request, call) => {
    await call.send(await run(request, call))
  })

export interface GrpcServer {
  /** Serves a connection until either side ends it. */
  serve(connection: Duplex): void
}

export function createGrpcServer(methods: Readonly<Record<string, Method>>): GrpcServer {
  const table = new Map(Object.entries(methods))
  const server = http2.createServer({
    maxSessionInvalidFrames: 100,
    settings: { initialWindowSize: 1 << 20, maxConcurrentStreams: 250, maxHeaderListSize: 64 << 10 },
  })
  server.on("session", (session) => {
    session.on("error", (error) => log.debug("a gRPC connection failed", { error: String(error) }))
  })
  server.on("sessionError", (error: unknown) => log.debug("a gRPC session failed", { error: String(error) }))
  server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on("error", (error) => log.debug("a gRPC stream failed", { error: String(error) }))
    void answer(table, stream, headers)
  })
  return {
    serve(connection) {
      server.emit("connection", connection)
    },
  }
}

async function answer(
  table: ReadonlyMap<string, Method>,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
): Promise<void> {
  const path = headers[":path"] ?? ""
  const ending = new AbortController()
  stream.on("close", () => ending.abort())
  const timer = deadline(headers["grpc-timeout"], ending)
  let failure: GrpcFailure | undefined
  try {
    const method = table.get(path)
    if (method === undefined) throw new GrpcFailure(CODE.unimplemented, `unknown method ${path}`)
    await method.serve(stream, {
      metadata: (name) => values(headers[name]),
      signal: ending.signal,
    })
    failure = passed(ending)
  } catch (error) {
    failure = passed(ending) ?? grpcFailure(error)
    if (failure.code === CODE.unknown || failure.code === CODE.internal)
      log.debug("a gRPC call failed", { path, error: failure.message })
  }
  clearTimeout(timer)
  end(stream, failure)
}

/** The failure of a call whose deadline passed, however its method ended. */
const passed = ({ signal }: AbortController): GrpcFailure | undefined =>
  signal.reason instanceof GrpcFailure ? signal.reason : undefined

/** Metadata values: node joins those of a name that came more than once by ", ". */
const values = (value: string | string[] | undefined): readonly string[] =>
  value === undefined ? [] : Array.isArray(value) ? value : value.split(", ")

const UNITS: Readonly<Record<string, number>> = { n: 1e-6, u: 1e-3, m: 1, S: 1000, M: 60_000, H: 3_600_000 }

function deadline(text: unknown, ending: AbortController): NodeJS.Timeout | undefined {
  const [, digits = "", unit = ""] = /^(\d{1,8})([HMSmun])$/.exec(String(text)) ?? []
  const milliseconds = Number(digits) * (UNITS[unit] ?? 0)
  if (digits === "" || milliseconds > 2 ** 31 - 1) return undefined
  const late = new GrpcFailure(CODE.deadlineExceeded, "context deadline exceeded")
  return setTimeout(() => ending.abort(late), milliseconds)
}

const GRPC = { ":status": 200, "content-type": "application/grpc" } as const

function begin(stream: ServerHttp2Stream, metadata: Readonly<Record<string, string>> = {}): void {
  if (!stream.headersSent && !stream.destroyed)
    stream.respond({ ...GRPC, ...metadata }, { waitForTrailers: true })
}

function end(stream: ServerHttp2Stream, failure: GrpcFailure | undefined): void {
  if (stream.destroyed || stream.closed) return
  try {
    if (!stream.headersSent) {
      stream.respond({ ...GRPC, ...statusHeaders(failure) }, { endStream: true })
    } else {
      stream.on("wantTrailers", () => stream.sendTrailers(statusHeaders(failure)))
      stream.end()
    }
    // What the client still sends is of no use.
    stream.resume()
  } catch (error) {
    log.debug("a gRPC call could not be ended", { error: String(error) })
    stream.destroy()
  }
}
