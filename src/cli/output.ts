// Standard output and error: small outputs are written at once, large ones through the runtime's stream with back-pressure.
import { fileSystem } from "./lazy-modules.ts"

const atOnce = 16 * 1024 // bytes that an empty pipe takes without blocking us

/** Where a verb writes. */
export interface Output {
  readonly isTTY: boolean
  /** Of the terminal; 0 when it is none. */
  readonly rows: number
  readonly columns: number
  /** Await what it gives (if anything) before writing much more. */
  write(bytes: string | Uint8Array): Promise<void> | undefined
  /** Resolves when everything written has left this process. */
  settled(): Promise<void>
}

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : ""

/** One of the process's standard streams. Loading the runtime's own costs 2 ms, so that it waits until it is needed. */
export class StandardOutput implements Output {
  readonly #fd: 1 | 2
  readonly #onBroken: () => void
  #left = atOnce
  #stream: NodeJS.WriteStream | undefined
  #full: Promise<void> | undefined
  #isTTY: boolean | undefined
  #isFile: boolean | undefined

  /** `onBroken` is called when the reader has gone (`sloop logs x | head -1`). */
  constructor(fd: 1 | 2, onBroken: () => void) {
    this.#fd = fd
    this.#onBroken = onBroken
  }

  get isTTY(): boolean {
    this.#isTTY ??= this.#kind() === "device" && this.#own().isTTY === true
    return this.#isTTY
  }

  get rows(): number {
    return this.isTTY ? (this.#own().rows ?? 0) : 0
  }

  get columns(): number {
    return this.isTTY ? (this.#own().columns ?? 0) : 0
  }

  #kind(): "device" | "file" | "other" {
    try {
      const stat = fileSystem().fstatSync(this.#fd)
      return stat.isCharacterDevice() ? "device" : stat.isFile() ? "file" : "other"
    } catch {
      return "other" // closed by whoever started us
    }
  }

  #own(): NodeJS.WriteStream {
    if (!this.#stream) {
      this.#stream = this.#fd === 1 ? process.stdout : process.stderr
      this.#stream.on("error", (error) => this.#failed(error))
    }
    return this.#stream
  }

  #failed(error: unknown): void {
    if (["EPIPE", "EBADF"].includes(codeOf(error))) this.#onBroken()
    else throw error
  }

  write(bytes: string | Uint8Array): Promise<void> | undefined {
    let rest = typeof bytes === "string" ? Buffer.from(bytes) : bytes
    this.#isFile ??= this.#kind() === "file"
    if (this.#isFile || (this.#left > 0 && !this.#stream)) {
      this.#left -= rest.length
      const most = this.#isFile ? rest.length : atOnce
      rest = this.#writeNow(rest.subarray(0, most), rest)
      if (rest.length === 0) return undefined
    }
    const stream = this.#own()
    if (stream.write(rest)) return undefined
    this.#full ??= new Promise((resolve) =>
      stream.once("drain", () => {
        this.#full = undefined
        resolve()
      }),
    )
    return this.#full
  }

  /**
   * What is left of `whole` after writing its beginning. The runtime's own sinks would spare a small output node:fs (1.3 ms),
   * but they leave a pipe non-blocking for everyone who shares it: `(sloop ps; cat list) | less` would break cat.
   */
  #writeNow(beginning: Uint8Array, whole: Uint8Array): Uint8Array {
    let written = 0
    try {
      while (written < beginning.length) written += fileSystem().writeSync(this.#fd, beginning, written)
    } catch (error) {
      if (codeOf(error) === "EAGAIN") this.#left = 0
      else {
        this.#failed(error)
        return new Uint8Array()
      }
    }
    return whole.subarray(written)
  }

  settled(): Promise<void> {
    const stream = this.#stream
    if (!stream || stream.destroyed) return Promise.resolve()
    return new Promise((resolve) => stream.write("", () => resolve()))
  }
}
