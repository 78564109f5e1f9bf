// Messages over one HTTP/2 stream, both ways: five bytes of head before each, back-pressure in both directions.
import type { Http2Stream } from "node:http2"
import { type Given, type Message, WireError } from "../../../wire/buildkit/protobuf.ts"
import { CODE, GrpcFailure } from "./status.ts"

/** Longest message that is taken; what buildx and BuildKit allow each other. */
const LONGEST_MESSAGE = 16 << 20
/** Bytes of unread messages at which the peer is asked to wait. */
const HIGH = 1 << 20

/** Cuts a byte stream into messages. */
class Frames {
  #parts: Uint8Array[] = []
  #size = 0
  /** Length of the message that is under way; undefined while its head is. */
  #wanted: number | undefined;

  /** Gives whole messages as they complete. */
  *add(bytes: Uint8Array): Generator<Uint8Array> {
    if (bytes.length > 0) {
      this.#parts.push(bytes)
      this.#size += bytes.length
    }
    for (;;) {
      if (this.#wanted === undefined) {
        if (this.#size < 5) return
        const head = Buffer.from(this.#take(5))
        if (head[0] !== 0) throw new GrpcFailure(CODE.unimplemented, "compressed messages are not taken here")
        this.#wanted = head.readUInt32BE(1)
        if (this.#wanted > LONGEST_MESSAGE) {
          const text = `a message of ${this.#wanted} bytes is longer than the ${LONGEST_MESSAGE} that are taken`
          throw new GrpcFailure(CODE.resourceExhausted, text)
        }
      }
      if (this.#size < this.#wanted) return
      const message = this.#take(this.#wanted)
      this.#wanted = undefined
      yield message
    }
  }

  /** Whether a message has begun that is not complete. */
  get open(): boolean {
    return this.#size > 0 || this.#wanted !== undefined
  }

  #take(count: number): Uint8Array {
    this.#size -= count
    const first = this.#parts[0]
    if (first !== undefined && first.length > count) {
      this.#parts[0] = first.subarray(count)
      return first.subarray(0, count)
    }
    const whole: Uint8Array[] = []
    for (let left = count; left > 0; ) {
      const part = this.#parts[0] ?? new Uint8Array(0)
      if (part.length <= left) {
        whole.push(part)
        this.#parts.shift()
        left -= part.length
      } else {
        whole.push(part.subarray(0, left))
        this.#parts[0] = part.subarray(left)
        left = 0
      }
    }
    return whole.length === 1 && whole[0] !== undefined ? whole[0] : Buffer.concat(whole)
  }
}

/**
 * One call's messages as either side sees them. Events only: iterating a client's stream over an upgraded socket loses
 * its end on Bun.
 */
export class Messages<In, Out> {
  readonly #stream: Http2Stream
  readonly #in: Message<In>
  readonly #out: Message<Out>
  readonly #frames = new Frames()
  readonly #waiting: Uint8Array[] = []
  #bytes = 0
  /** Set once nothing more will come: "end", or why it broke off. */
  #ended: "end" | GrpcFailure | undefined
  #wake: (() => void) | undefined
  readonly #gone = new AbortController()

  constructor(stream: Http2Stream, incoming: Message<In>, outgoing: Message<Out>) {
    this.#stream = stream
    this.#in = incoming
    this.#out = outgoing
    stream.on("data", (bytes: Uint8Array) => this.#take(bytes))
    stream.on("end", () =>
      this.finish(this.#frames.open ? new GrpcFailure(CODE.internal, "a message breaks off") : "end"),
    )
    stream.on("error", () => this.finish(new GrpcFailure(CODE.unavailable, "the connection broke off")))
    stream.on("close", () => {
      this.finish(new GrpcFailure(CODE.cancelled, "context canceled"))
      this.#gone.abort()
    })
  }

  /** Aborted when the stream is over, for whatever reason. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /** The next message; undefined at the end. Throws `GrpcFailure` when the call broke off. */
  async receive(): Promise<In | undefined> {
    for (;;) {
      const next = this.#waiting.shift()
      if (next !== undefined) {
        this.#bytes -= next.length
        if (this.#bytes < HIGH / 2 && this.#stream.isPaused()) this.#stream.resume()
        return this.#decode(next)
      }
      if (this.#ended === "end") return undefined
      if (this.#ended !== undefined) throw this.#ended
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** Resolves when another may be sent. Throws when the stream is over. */
  async send(value: Given<Out>): Promise<void> {
    const stream = this.#stream
    if (stream.destroyed || stream.closed || stream.writableEnded)
      throw new GrpcFailure(CODE.cancelled, "context canceled")
    const body = this.#out.encode(value)
    const head = Buffer.alloc(5)
    head.writeUInt32BE(body.length, 1)
    if (stream.write(Buffer.concat([head, body]))) return
    await new Promise<void>((resolve) => {
      const go = () => {
        stream.off("drain", go)
        stream.off("close", go)
        resolve()
      }
      stream.on("drain", go)
      stream.on("close", go)
    })
  }

  /** Nothing more is expected from the peer: what waits can still be received. */
  finish(how: "end" | GrpcFailure): void {
    this.#ended ??= how
    this.#wake?.()
  }

  #take(bytes: Uint8Array): void {
    if (this.#ended !== undefined) return
    try {
      for (const message of this.#frames.add(bytes)) {
        this.#waiting.push(message)
        this.#bytes += message.length + 16
      }
    } catch (error) {
      this.finish(error instanceof GrpcFailure ? error : new GrpcFailure(CODE.internal, String(error)))
      this.#waiting.length = 0
    }
    if (this.#bytes > HIGH) this.#stream.pause()
    this.#wake?.()
  }

  #decode(bytes: Uint8Array): In {
    try {
      return this.#in.decode(bytes)
    } catch (error) {
      if (error instanceof WireError)
        throw new GrpcFailure(CODE.invalidArgument, `a message cannot be read: ${error.message}`, [], {
          cause: error,
        })
      throw error
    }
  }
}
