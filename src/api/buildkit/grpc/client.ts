// A gRPC client over one connection that exists already: what the daemon calls a client's session services with.
import http2, { type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from "node:http2"
import type { Duplex } from "node:stream"
import type { Given, Message } from "../../../wire/buildkit/protobuf.ts"
import { Messages } from "./messages.ts"
import { CODE, failureIn, GrpcFailure } from "./status.ts"

export interface CallOptions {
  readonly metadata?: Readonly<Record<string, string | string[]>>
  readonly signal?: AbortSignal
}

/** One call as its caller sees it. */
export interface ClientCall<In, Out> {
  send(message: Given<In>): Promise<void>
  /** No more will be sent. */
  end(): void
  /** The next answer; undefined when the call ended well. Throws `GrpcFailure` for any other end. */
  receive(): Promise<Out | undefined>
  /** Gives the call up. */
  cancel(): void
}

export class GrpcConnection {
  readonly #session: ClientHttp2Session
  readonly #gone = new AbortController()

  constructor(connection: Duplex) {
    this.#session = http2.connect("http://localhost", {
      createConnection: () => connection as import("node:net").Socket,
      settings: { initialWindowSize: 1 << 20, enablePush: false },
    })
    this.#session.on("error", () => this.#gone.abort())
    this.#session.on("close", () => this.#gone.abort())
    connection.on("close", () => this.#gone.abort())
  }

  /** Aborted when the connection is over. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  close(): void {
    this.#gone.abort()
    this.#session.destroy()
  }

  /** Starts a call. */
  call<In, Out>(
    path: string,
    outgoing: Message<In>,
    incoming: Message<Out>,
    { metadata = {}, signal }: CallOptions = {},
  ): ClientCall<In, Out> {
    signal?.throwIfAborted()
    if (this.#gone.signal.aborted || this.#session.closed || this.#session.destroyed)
      throw new GrpcFailure(CODE.unavailable, "the client's session has ended")
    const stream = this.#session.request(
      {
        ":method": "POST",
        ":path": path,
        "content-type": "application/grpc",
        te: "trailers",
        ...metadata,
      },
      { endStream: false },
    )
    const messages = new Messages(stream, incoming, outgoing)
    const status = ending(stream)
    const cancel = () => stream.close(http2.constants.NGHTTP2_CANCEL)
    signal?.addEventListener("abort", cancel, { once: true })
    stream.on("close", () => signal?.removeEventListener("abort", cancel))
    return {
      send: (message) => messages.send(message),
      end: () => {
        if (!stream.destroyed) stream.end()
      },
      cancel,
      async receive() {
        try {
          const message = await messages.receive()
          if (message !== undefined) return message
        } catch (error) {
          signal?.throwIfAborted()
          const failure = status.known()
          throw failure ?? error
        }
        signal?.throwIfAborted()
        const failure = await status.told
        if (failure !== undefined) throw failure
        return undefined
      },
    }
  }

  /** One message there, one back. */
  async unary<In, Out>(
    path: string,
    outgoing: Message<In>,
    incoming: Message<Out>,
    request: Given<In>,
    options: CallOptions = {},
  ): Promise<Out> {
    const call = this.call(path, outgoing, incoming, options)
    await call.send(request)
    call.end()
    const answer = await call.receive()
    if (answer === undefined) throw new GrpcFailure(CODE.internal, `${path} ended without an answer`)
    // Whatever follows, the stream must be read to its end to be let go.
    await call.receive()
    return answer
  }
}

/** How a stream ends, by its headers or trailers. */
function ending(stream: ClientHttp2Stream) {
  let known: { readonly failure: GrpcFailure | undefined } | undefined
  let tell: (failure: GrpcFailure | undefined) => void = () => {}
  const told = new Promise<GrpcFailure | undefined>((resolve) => {
    tell = resolve
  })
  const learn = (failure: GrpcFailure | undefined) => {
    known ??= { failure }
    tell(known.failure)
  }
  stream.on("response", (headers: IncomingHttpHeaders) => {
    const status = Number(headers[":status"])
    if (status !== 200) learn(new GrpcFailure(CODE.unavailable, `the client answered with HTTP ${status}`))
    else if (headers["grpc-status"] !== undefined) learn(failureIn(headers))
  })
  stream.on("trailers", (headers: IncomingHttpHeaders) => learn(failureIn(headers)))
  stream.on("error", () => learn(new GrpcFailure(CODE.unavailable, "the connection broke off")))
  stream.on("close", () => learn(new GrpcFailure(CODE.unavailable, "the call ended without a status")))
  return { told, known: () => known?.failure }
}
