// WebSocket (RFC 6455) over a connection that was taken over: an attach as browsers and docker-py make it.
import { createHash } from "node:crypto"
import type { IncomingMessage } from "node:http"
import { Transform } from "node:stream"
import { failure } from "../../base/errors.ts"
import type { Call, Hijacked } from "../call.ts"

const MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
const CONTINUED = 0
const TEXT = 1
const BINARY = 2
const CLOSE = 8
const PING = 9
const PONG = 10
/** Most bytes of a control frame's payload. */
const LONGEST_CONTROL = 125
/** Most milliseconds that a client gets to hang up after the close frame. */
const LINGER = 1000
const WENT_WELL = 1000
const PROTOCOL_ERROR = 1002

/** What a handshake must hold. Throws invalid, and forbidden for a page of another origin: browsers let any page ask. */
export function requireHandshake({ headers }: IncomingMessage): string {
  const key = headers["sec-websocket-key"]
  if (headers.upgrade?.toLowerCase() !== "websocket" || key === undefined) {
    throw failure("invalid", "bad request: ask for an upgrade to websocket, with a Sec-WebSocket-Key")
  }
  if (!/^[A-Za-z0-9+/]{22}==$/.test(key)) {
    throw failure("invalid", "bad request: Sec-WebSocket-Key must be 16 bytes in base64")
  }
  if (headers["sec-websocket-version"] !== "13") {
    throw failure("invalid", "bad request: Sec-WebSocket-Version must be 13")
  }
  const origin = headers.origin
  if (origin !== undefined && originHost(origin) !== headers.host?.toLowerCase()) {
    throw failure("forbidden", `a page of ${JSON.stringify(origin)} may not attach to containers here`)
  }
  return key
}

function originHost(origin: string): string | undefined {
  try {
    return new URL(origin).host
  } catch {
    return undefined
  }
}

/**
 * Takes the connection over. `input` gives the payload of what the client sends, `output` sends each piece as one frame;
 * `multiplexed` output loses Docker's headers, for a WebSocket carries both streams as one. Frames are text before 1.28.
 */
export function acceptWebSocket(call: Call, key: string, multiplexed: boolean): Hijacked {
  const accept = createHash("sha1")
    .update(key + MAGIC)
    .digest("base64")
  const client = call.upgrade("Switching Protocols", {
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Accept": accept,
  })
  const output = new Encoder(call.minor < 28 ? TEXT : BINARY, multiplexed)
  const input = new Decoder({
    pong: (payload) => output.control(PONG, payload),
    // Its end is the end of both directions: the answer to a close frame is one.
    closed: (code) => output.finish(code),
  })
  client.input.pipe(input)
  output.pipe(client.output)
  let ended = false
  const destroy = () => {
    input.destroy()
    output.destroy()
    if (!ended) client.destroy()
  }
  client.output.once("close", destroy)
  client.output.once("error", destroy)
  client.output.once("finish", () => {
    // The last frames must arrive: a socket that is closed with unread bytes would take them back.
    ended = true
    const close = () => client.destroy()
    client.input.once("end", close)
    setTimeout(close, LINGER).unref()
    client.input.unpipe(input)
    client.input.resume()
    destroy()
  })
  return { input, output, destroy }
}

function frameHead(opcode: number, length: number): Buffer {
  if (length < 126) return Buffer.from([0x80 | opcode, length])
  if (length < 65_536) return Buffer.from([0x80 | opcode, 126, length >> 8, length & 255])
  const head = Buffer.alloc(10)
  head[0] = 0x80 | opcode
  head[1] = 127
  head.writeBigUInt64BE(BigInt(length), 2)
  return head
}

class Encoder extends Transform {
  readonly #opcode: number
  readonly #multiplexed: boolean
  /** A header of Docker's that is not complete, and what is left of the payload behind the last one. */
  #header: Buffer = Buffer.alloc(0)
  #left = 0
  #finished = false

  constructor(opcode: number, multiplexed: boolean) {
    super({ readableHighWaterMark: 64 * 1024 })
    this.#opcode = opcode
    this.#multiplexed = multiplexed
  }

  control(opcode: number, payload: Uint8Array): void {
    if (this.#finished || this.destroyed) return
    this.push(Buffer.concat([frameHead(opcode, payload.length), payload]))
  }

  /** Sends a close frame and ends; what is written later is dropped. */
  finish(code: number): void {
    if (this.#finished || this.destroyed) return
    this.control(CLOSE, Buffer.from([code >> 8, code & 255]))
    this.#finished = true
    this.push(null)
  }

  #send(payload: Buffer): void {
    if (this.#finished || payload.length === 0) return
    this.push(frameHead(this.#opcode, payload.length))
    this.push(payload)
  }

  override _transform(chunk: Buffer, _encoding: string, done: () => void): void {
    if (!this.#multiplexed) {
      this.#send(chunk)
      done()
      return
    }
    let rest = chunk
    while (rest.length > 0) {
      if (this.#left > 0) {
        const piece = rest.subarray(0, this.#left)
        this.#left -= piece.length
        rest = rest.subarray(piece.length)
        this.#send(piece)
        continue
      }
      const taken = rest.subarray(0, 8 - this.#header.length)
      this.#header = Buffer.concat([this.#header, taken])
      rest = rest.subarray(taken.length)
      if (this.#header.length < 8) break
      this.#left = this.#header.readUInt32BE(4)
      this.#header = Buffer.alloc(0)
    }
    done()
  }

  override _flush(done: () => void): void {
    this.finish(WENT_WELL)
    done()
  }
}

interface Told {
  pong(payload: Buffer): void
  closed(code: number): void
}

class Decoder extends Transform {
  readonly #told: Told
  #held: Buffer = Buffer.alloc(0)
  /** Payload still to come of a data frame, with its mask and how far that is used. */
  #left = 0
  #mask: Buffer = Buffer.alloc(4)
  #masked = 0
  /** Whether a message of several frames is under way. */
  #within = false
  #over = false

  constructor(told: Told) {
    super({ readableHighWaterMark: 64 * 1024 })
    this.#told = told
  }

  #close(code: number): void {
    if (this.#over) return
    this.#over = true
    this.#held = Buffer.alloc(0)
    this.push(null)
    this.#told.closed(code)
  }

  #unmask(bytes: Buffer): Buffer {
    const plain = Buffer.allocUnsafe(bytes.length)
    for (let at = 0; at < bytes.length; at++) {
      plain[at] = (bytes[at] ?? 0) ^ (this.#mask[this.#masked & 3] ?? 0)
      this.#masked++
    }
    return plain
  }

  override _transform(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    while (!this.#over && this.#step()) {
      // Each step takes a head or a piece of payload.
    }
    done()
  }

  override _flush(done: () => void): void {
    this.#over = true
    done()
  }

  /** False when more bytes are needed. */
  #step(): boolean {
    if (this.#left > 0) {
      if (this.#held.length === 0) return false
      const piece = this.#held.subarray(0, this.#left)
      this.#left -= piece.length
      this.#held = this.#held.subarray(piece.length)
      this.push(this.#unmask(piece))
      return true
    }
    if (this.#held.length < 2) return false
    const first = this.#held[0] ?? 0
    const second = this.#held[1] ?? 0
    const opcode = first & 15
    const final = first >= 128
    const short = second & 127
    const isControl = opcode >= CLOSE
    const starts = opcode === TEXT || opcode === BINARY
    const known = starts || (opcode >= CLOSE && opcode <= PONG) || opcode === CONTINUED
    // Clients must mask; no extension was agreed; control frames are whole and short; messages do not interleave.
    const sound =
      known &&
      second >= 128 &&
      (first & 0x70) === 0 &&
      (!isControl || (final && short <= LONGEST_CONTROL)) &&
      !(starts && this.#within) &&
      !(opcode === CONTINUED && !this.#within)
    if (!sound) {
      this.#close(PROTOCOL_ERROR)
      return false
    }
    const wide = short === 126 ? 2 : short === 127 ? 8 : 0
    if (this.#held.length < 6 + wide) return false
    const length =
      wide === 0 ? short : wide === 2 ? this.#held.readUInt16BE(2) : Number(this.#held.readBigUInt64BE(2))
    if (!Number.isSafeInteger(length)) {
      this.#close(PROTOCOL_ERROR)
      return false
    }
    if (isControl && this.#held.length < 6 + length) return false
    this.#mask = Buffer.from(this.#held.subarray(2 + wide, 6 + wide))
    this.#masked = 0
    this.#held = this.#held.subarray(6 + wide)
    if (!isControl) {
      this.#within = !final
      this.#left = length
      return true
    }
    const payload = this.#unmask(this.#held.subarray(0, length))
    this.#held = this.#held.subarray(length)
    if (opcode === PING) this.#told.pong(payload)
    else if (opcode === CLOSE) this.#close(WENT_WELL)
    return true
  }
}
