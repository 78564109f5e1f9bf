// One byte connection with back-pressure both ways. node:net and node:http would cost a command 4 and 8 ms of start-up.
import type { Socket, SocketHandler } from "bun"

/** Where a server listens. */
export type Place = { readonly unix: string } | { readonly hostname: string; readonly port: number }

const enough = 1024 * 1024 // bytes held for a slow reader before the peer is made to wait

/** A connected socket. One reader and one writer at a time. */
export class Connection {
  #socket: Socket<unknown> | undefined
  #held: Buffer[] = []
  #heldBytes = 0
  #paused = false
  #ended = false
  #problem: Error | undefined
  #wakeReader: (() => void) | undefined
  #wakeWriter: (() => void) | undefined

  private constructor() {}

  /** Connects. Rejects with the system's error (its `code` says which). */
  static async open(place: Place): Promise<Connection> {
    const connection = new Connection()
    let refused: Error | undefined
    const socket: SocketHandler<unknown> = {
      binaryType: "buffer",
      data: (_, bytes) => connection.#take(bytes),
      drain: () => connection.#drained(),
      end: () => connection.#finish(),
      close: () => connection.#finish(true),
      error: (_, error) => connection.#finish(true, error),
      connectError: (_, error) => {
        refused = error
      },
    }
    try {
      connection.#socket = await ("unix" in place
        ? Bun.connect({ unix: place.unix, allowHalfOpen: true, socket })
        : Bun.connect({ hostname: place.hostname, port: place.port, allowHalfOpen: true, socket }))
    } catch (error) {
      throw refused ?? error
    }
    return connection
  }

  /** False once either side has closed. */
  get open(): boolean {
    return !this.#ended
  }

  #take(bytes: Buffer): void {
    this.#held.push(bytes)
    this.#heldBytes += bytes.length
    if (this.#heldBytes >= enough && !this.#paused) {
      this.#paused = true
      this.#socket?.pause()
    }
    this.#wake()
  }

  #wake(): void {
    this.#wakeReader?.()
    this.#wakeReader = undefined
  }

  #drained(): void {
    this.#wakeWriter?.()
    this.#wakeWriter = undefined
  }

  #finish(wholly = false, problem?: Error): void {
    this.#ended = true
    this.#problem ??= problem
    this.#wake()
    if (wholly) this.#drained()
  }

  /** The next bytes, or undefined at the end. Rejects when the connection broke. */
  async read(): Promise<Buffer | undefined> {
    while (this.#held.length === 0) {
      if (this.#problem) throw this.#problem
      if (this.#ended) return undefined
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve
      })
    }
    const bytes = this.#held.shift()
    this.#heldBytes -= bytes?.length ?? 0
    if (this.#paused && this.#heldBytes < enough / 2) {
      this.#paused = false
      this.#socket?.resume()
    }
    return bytes
  }

  /** Puts bytes back in front: they are what is read next. */
  unread(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.#held.unshift(bytes)
    this.#heldBytes += bytes.length
  }

  /** Resolves when the kernel has taken every byte. Rejects when the peer is gone. */
  async write(bytes: Uint8Array | string): Promise<void> {
    let rest = typeof bytes === "string" ? Buffer.from(bytes) : bytes
    while (rest.length > 0) {
      const taken = this.#socket?.write(rest) ?? -1
      if (taken < 0) throw this.#problem ?? new Error("the connection was closed by the other side")
      rest = rest.subarray(taken)
      if (rest.length > 0)
        await new Promise<void>((resolve) => {
          this.#wakeWriter = resolve
        })
    }
  }

  /** Says that no more bytes will be written; reading goes on. */
  endWriting(): void {
    this.#socket?.shutdown()
  }

  /** Drops the connection. */
  close(): void {
    this.#ended = true
    this.#socket?.terminate()
    this.#wake()
    this.#drained()
  }
}
