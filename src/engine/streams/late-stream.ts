// A duplex that a client gets before the process exists; once connected it hands bytes on with back-pressure.
import { Duplex } from "node:stream"
import type { DetachScanner } from "./detach-keys.ts"

export interface LateStreamOptions {
  /** For a tty: typed bytes are watched for the detach sequence. */
  readonly scanner?: DetachScanner
  readonly onDetach?: () => void
  readonly onClose?: () => void
}

export class LateStream extends Duplex {
  #target: Duplex | undefined
  /** What the client has written or ended before there was a target. */
  #held: (() => void) | undefined
  #finished = false
  #taken: (() => void) | undefined
  readonly #options: LateStreamOptions

  constructor(options: LateStreamOptions = {}) {
    super({ allowHalfOpen: true, readableHighWaterMark: 256 << 10, writableHighWaterMark: 64 << 10 })
    this.#options = options
  }

  /** Joins both directions. A stream that is gone already closes the target. */
  connect(target: Duplex): void {
    if (this.destroyed || this.#finished) {
      target.destroy()
      return
    }
    this.#target = target
    target.on("data", (chunk: Uint8Array) => {
      if (!this.push(chunk)) target.pause()
    })
    target.on("end", () => this.finish())
    target.on("close", () => this.finish())
    target.on("error", () => this.finish())
    const held = this.#held
    this.#held = undefined
    held?.()
  }

  /** Bytes that come before the target's, such as the log. False = wait for {@link taken}. */
  prepend(chunk: Uint8Array): boolean {
    return this.push(chunk)
  }

  /** Resolves when the client has taken what was prepended, or is gone. */
  taken(): Promise<void> {
    return new Promise((resolve) => {
      if (this.destroyed) resolve()
      else this.#taken = resolve
    })
  }

  /** The end of output: the process has ended, or never started. */
  finish(): void {
    if (this.#finished || this.destroyed) return
    this.#finished = true
    this.push(null)
    // Input that nobody will read any more is taken and dropped.
    const held = this.#held
    this.#held = undefined
    held?.()
  }

  override _read(): void {
    this.#target?.resume()
    this.#taken?.()
    this.#taken = undefined
  }

  override _write(chunk: Uint8Array, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#finished) {
      done()
      return
    }
    const target = this.#target
    if (target === undefined) {
      this.#held = () => this._write(chunk, encoding, done)
      return
    }
    const scanned = this.#options.scanner?.feed(chunk)
    const forward = scanned?.forward ?? chunk
    if (scanned?.detached) {
      if (forward.length > 0) target.write(forward)
      target.end()
      done()
      this.#options.onDetach?.()
      this.finish()
      target.destroy()
      return
    }
    if (forward.length === 0 || target.write(forward)) {
      done()
      return
    }
    const settle = () => {
      target.off("drain", settle)
      target.off("close", settle)
      done()
    }
    target.on("drain", settle)
    target.on("close", settle)
  }

  override _final(done: (error?: Error | null) => void): void {
    const target = this.#target
    if (this.#finished) {
      done()
      return
    }
    if (target === undefined) {
      this.#held = () => this._final(done)
      return
    }
    target.end()
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#finished = true
    this.#taken?.()
    this.#target?.destroy()
    this.#options.onClose?.()
    done(error)
  }
}
