// What the launcher's `assemble` is told to write: pieces of its script (launcher/trees/assemble.c), gathered into chunks.
import type { ScannedEntry } from "../../sources/local/scan.ts"

const chunkBytes = 256 << 10

/** Pieces of the script, gathered into chunks. */
export class Script {
  readonly #ready: Buffer[] = []
  #chunk = Buffer.allocUnsafe(chunkBytes)
  #filled = 0

  /** Whole chunks so far. */
  take(): Buffer[] {
    return this.#ready.splice(0)
  }

  end(): void {
    if (this.#filled > 0) this.#ready.push(this.#chunk.subarray(0, this.#filled))
    this.#filled = 0
  }

  #room(bytes: number): number {
    if (this.#filled + bytes > this.#chunk.length) {
      this.end()
      this.#chunk = Buffer.allocUnsafe(Math.max(chunkBytes, bytes))
    }
    const at = this.#filled
    this.#filled += bytes
    return at
  }

  literal(bytes: Uint8Array): void {
    const at = this.#room(5 + bytes.length)
    this.#chunk[at] = 0x4c
    this.#chunk.writeUInt32LE(bytes.length, at + 1)
    this.#chunk.set(bytes, at + 5)
  }

  file(root: number, entry: ScannedEntry, size: number): void {
    const { path } = entry
    const at = this.#room(36 + path.length)
    const chunk = this.#chunk
    chunk[at] = 0x46
    chunk[at + 1] = root
    chunk.writeUInt16LE(path.length, at + 2)
    putWide(chunk, size, at + 4)
    putWide(chunk, entry.mtime, at + 12)
    putWide(chunk, entry.ctime, at + 20)
    chunk.writeUInt32LE(entry.mtimeFraction, at + 28)
    chunk.writeUInt32LE(entry.ctimeFraction, at + 32)
    chunk.write(path, at + 36, "latin1")
  }

  range(file: number, offset: number, length: number): void {
    const at = this.#room(18)
    this.#chunk[at] = 0x52
    this.#chunk[at + 1] = file
    putWide(this.#chunk, offset, at + 2)
    putWide(this.#chunk, length, at + 10)
  }
}

/** 64 bits, two's complement. */
const putWide = (target: Buffer, value: number, at: number): void => {
  target.writeUInt32LE(((value % 2 ** 32) + 2 ** 32) % 2 ** 32, at)
  target.writeInt32LE(Math.floor(value / 2 ** 32), at + 4)
}
