// Takes the launcher's answer apart as it arrives: reports, and data without copying.
import { failure } from "../base/errors.ts"
import { frameHeader, frameKind, frameVersion, maxFrameBytes } from "./plan.ts"

/** A report's fields (the first is its kind), a piece of a data frame, or the end of a data stream. */
export type Frame =
  | { readonly type: "report"; readonly fields: readonly string[] }
  | { readonly type: "data"; readonly bytes: Buffer }
  | { readonly type: "end" }

const endFrame: Frame = { type: "end" }
const empty: Buffer = Buffer.alloc(0)

/** Fields of a report payload: NUL-terminated strings. */
export function decodeFields(payload: Buffer): string[] {
  const fields = payload.toString("utf8").split("\0")
  fields.pop()
  return fields
}

/** Incremental decoder: push what came, then read until undefined. A data frame may come out in several pieces. */
export class FrameReader {
  #head: Buffer = empty
  readonly #more: Buffer[] = []
  #dataLeft = 0
  #pendingBytes = 0

  /** Bytes pushed and not yet read. */
  get pendingBytes(): number {
    return this.#pendingBytes
  }

  push(chunk: Buffer): void {
    this.#pendingBytes += chunk.length
    if (this.#head.length === 0) this.#head = chunk
    else this.#more.push(chunk)
  }

  /** Bytes that came but were not read; they are given away. */
  takeRest(): Buffer {
    const rest = this.#more.length === 0 ? this.#head : Buffer.concat([this.#head, ...this.#more.splice(0)])
    this.#head = empty
    this.#pendingBytes = 0
    return rest
  }

  /** The next frame or piece; undefined when more bytes are needed. Throws internal when the peer breaks the protocol. */
  read(): Frame | undefined {
    if (this.#dataLeft > 0) return this.#readData()
    if (!this.#gather(frameHeader)) return undefined
    const head = this.#head
    const kind = head[1]
    const length = head.readUInt32LE(4)
    const sound =
      head[0] === frameVersion &&
      (kind === frameKind.report || kind === frameKind.data) &&
      head[2] === 0 &&
      head[3] === 0 &&
      length <= maxFrameBytes
    if (!sound) throw failure("internal", "The launcher sent a frame that breaks its protocol")
    if (kind === frameKind.data) {
      this.#consume(frameHeader)
      this.#dataLeft = length
      return length === 0 ? endFrame : this.#readData()
    }
    if (!this.#gather(frameHeader + length)) return undefined
    const fields = decodeFields(this.#head.subarray(frameHeader, frameHeader + length))
    this.#consume(frameHeader + length)
    return { type: "report", fields }
  }

  #readData(): Frame | undefined {
    if (this.#pendingBytes === 0) return undefined
    const bytes = this.#head.subarray(0, Math.min(this.#dataLeft, this.#head.length))
    this.#consume(bytes.length)
    this.#dataLeft -= bytes.length
    return { type: "data", bytes }
  }

  /** Makes the first chunk hold at least `length` bytes; false when so many have not come. */
  #gather(length: number): boolean {
    if (this.#pendingBytes < length) return false
    if (this.#head.length < length) this.#head = Buffer.concat([this.#head, ...this.#more.splice(0)])
    return true
  }

  #consume(length: number): void {
    this.#pendingBytes -= length
    this.#head = this.#head.length === length ? (this.#more.shift() ?? empty) : this.#head.subarray(length)
  }
}
