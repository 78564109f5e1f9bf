// Splits Docker's multiplexed stream: frames of an 8-byte header (stream, three zeros, big-endian length) and a payload.

export interface Part {
  readonly to: "stdout" | "stderr"
  readonly bytes: Buffer
}

/** Cuts chunks as they come into parts for one stream each, without copying payloads. */
export class Demultiplexer {
  #header: Buffer = Buffer.alloc(0)
  #stream = 1
  #left = 0

  split(chunk: Buffer): Part[] {
    const parts: Part[] = []
    let rest = this.#header.length > 0 ? Buffer.concat([this.#header, chunk]) : chunk
    this.#header = Buffer.alloc(0)
    while (rest.length > 0) {
      if (this.#left === 0) {
        if (rest.length < 8) {
          this.#header = Buffer.from(rest)
          break
        }
        this.#stream = rest[0] ?? 1
        this.#left = rest.readUInt32BE(4)
        rest = rest.subarray(8)
        continue
      }
      const bytes = rest.subarray(0, this.#left)
      this.#left -= bytes.length
      rest = rest.subarray(bytes.length)
      parts.push({ to: this.#stream === 2 ? "stderr" : "stdout", bytes })
    }
    return parts
  }
}
