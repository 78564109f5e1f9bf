// Frames between monitors and the name server (launcher/PROTOCOL.md): who asks, questions, answers.

/** Length of the payload (16 bits), kind, transport, ticket (32 bits); little endian. */
export const FRAME_HEADER = 8
const KIND = { hello: 1, question: 2, answer: 3, passed: 4 } as const
/** Address and port before a message that is passed on. */
const PLACE = 6
const PORT = 53
const LONGEST_ID = 128

export type Frame =
  | { readonly kind: "hello"; readonly containerId: string }
  /** What a name server said that only the container reaches. */
  | { readonly kind: "passed"; readonly server: string; readonly ticket: number; readonly bytes: Buffer }
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
      const expected = greeting ? kind === KIND.hello : kind === KIND.question || kind === KIND.passed
      if (!expected || (greeting && length > LONGEST_ID) || (kind === KIND.passed && length < PLACE))
        return undefined
      const end = at + FRAME_HEADER + length
      if (end > bytes.length) break
      const payload = bytes.subarray(at + FRAME_HEADER, end)
      const ticket = bytes.readUInt32LE(at + 4)
      if (greeting) frames.push({ kind: "hello", containerId: payload.toString() })
      else if (kind === KIND.question)
        frames.push({ kind: "question", tcp: bytes[at + 3] === 1, ticket, bytes: payload })
      else
        frames.push({
          kind: "passed",
          server: payload.subarray(0, 4).join("."),
          ticket,
          bytes: payload.subarray(PLACE),
        })
      this.#greeted = true
      at = end
    }
    // A copy: the chunk is larger and may be used again.
    this.#rest = Buffer.from(bytes.subarray(at))
    return frames
  }
}

const frame = (kind: number, ticket: number, bytes: Uint8Array): Buffer => {
  const out = Buffer.allocUnsafe(FRAME_HEADER + bytes.length)
  out.writeUInt16LE(bytes.length, 0)
  out[2] = kind
  out[3] = 0
  out.writeUInt32LE(ticket, 4)
  out.set(bytes, FRAME_HEADER)
  return out
}

/** The frame of an answer; without bytes the question is given up, or what was passed has been heard. */
export const answerFrame = (ticket: number, bytes: Uint8Array = new Uint8Array()): Buffer =>
  frame(KIND.answer, ticket, bytes)

/** The frame that has a question passed on to a name server (IPv4) from inside the container. */
export const passFrame = (server: string, bytes: Uint8Array): Buffer =>
  frame(
    KIND.passed,
    0,
    Buffer.concat([Uint8Array.from(server.split("."), Number), Buffer.of(0, PORT), bytes]),
  )
