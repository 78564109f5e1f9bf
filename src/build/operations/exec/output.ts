// The output of a step as log events, in the order in which it came, nothing of it kept.
import type { Duplex } from "node:stream"
import type { ReportBuild } from "../../progress.ts"

const header = 8

/** Cuts Docker's multiplexed stream into its parts: an 8-byte header (stream, length) before each. */
export class OutputSplitter {
  readonly #part: (stream: 1 | 2, bytes: Buffer) => void
  #begun: Buffer = Buffer.alloc(0)
  #stream: 1 | 2 = 1
  #left = 0

  constructor(part: (stream: 1 | 2, bytes: Buffer) => void) {
    this.#part = part
  }

  push(chunk: Buffer): void {
    let rest = this.#begun.length > 0 ? Buffer.concat([this.#begun, chunk]) : chunk
    this.#begun = Buffer.alloc(0)
    while (rest.length > 0) {
      if (this.#left > 0) {
        const bytes = rest.subarray(0, this.#left)
        this.#left -= bytes.length
        rest = rest.subarray(bytes.length)
        this.#part(this.#stream, bytes)
        continue
      }
      if (rest.length < header) {
        this.#begun = Buffer.from(rest)
        return
      }
      this.#stream = rest[0] === 2 ? 2 : 1
      this.#left = rest.readUInt32BE(4)
      rest = rest.subarray(header)
    }
  }
}

/** Tells what comes over an attached stream as logs of the vertex. Resolves with its end, however it ends. */
export const reportOutput = (stream: Duplex, vertex: string, report: ReportBuild): Promise<void> => {
  const splitter = new OutputSplitter((to, bytes) =>
    report({ type: "log", vertex, stream: to, bytes, at: Date.now() }),
  )
  const { promise, resolve } = Promise.withResolvers<void>()
  stream.on("data", (chunk: Buffer) => splitter.push(chunk))
  stream.once("end", resolve)
  stream.once("close", resolve)
  stream.once("error", () => resolve())
  stream.end()
  return promise
}
