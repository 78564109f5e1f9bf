// Frames between monitors and the name server (launcher/PROTOCOL.md): who asks, questions, answers.

/** Length of the payload (16 bits), kind, transport, ticket (32 bits); little endian. */
export const FRAME_HEADER = 8
const KIND = { hello: 1, question: 2, answer: 3 } as const
const LONGEST_ID = 128

export type Frame =
  | { readonly kind: "hello"; readonly containerId: string }
  | { readonly kind: "question"; readonly tcp: boolean; readonly ticket: number; readonly bytes: Buffer }

/** Takes whole frames off what a connection brings. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0)
  #greeted = false

  /** The frames that these bytes complete; undefined once the peer broke the rules: the first is a hello, the others are questions. */
  read(chunk: Buffer): Frame[] | undefined {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk
    const frames: Frame[] = []
    let at = 0
    while (bytes.length - at >= FRAME_HEADER) {
      const length = bytes.readUInt16LE(at)
      const kind = bytes[at + 2]
      const greeting = !this.#greeted
      if (kind !== (greeting ? KIND.hello : KIND.question) || (greeting && length > LONGEST_ID))
        return undefined
      const end = at + FRAME_HEADER + length
      if (end > bytes.length) break
      const payload = bytes.subarray(at + FRAME_HEADER, end)
      if (greeting) frames.push({ kind: "hello", containerId: payload.toString() })
      else
        frames.push({
          kind: "question",
          tcp: bytes[at + 3] === 1,
          ticket: bytes.readUInt32LE(at + 4),
          bytes: payload,
        })
      this.#greeted = true
      at = end
    }
    // A copy: the chunk is larger and may be used again.
    this.#rest = Buffer.from(bytes.subarray(at))
    return frames
  }
}

/** The frame of an answer; without bytes the question is given up. */
export const answerFrame = (ticket: number, bytes: Uint8Array = new Uint8Array()): Buffer => {
  const out = Buffer.allocUnsafe(FRAME_HEADER + bytes.length)
  out.writeUInt16LE(bytes.length, 0)
  out[2] = KIND.answer
  out[3] = 0
  out.writeUInt32LE(ticket, 4)
  out.set(bytes, FRAME_HEADER)
  return out
}
