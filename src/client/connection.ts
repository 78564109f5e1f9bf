// One byte connection with back-pressure both ways. node:net and node:http would cost a command 4 and 8 ms of start-up.
import type { Socket, SocketHandler } from "bun"

/** Keys and certificates as PEM texts; without `verify` the server's certificate may be anybody's. */
export interface Tls {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly verify: boolean
}

/** Where a server listens: a socket, a port, or the standard input and output of a command. */
export type Place =
  | { readonly unix: string }
  | { readonly hostname: string; readonly port: number; readonly tls?: Tls }
  | { readonly command: readonly string[] }

type PlainPlace = Exclude<Place, { readonly command: readonly string[] }>

/** What carries the bytes. `write` says how many it took: none while it is full, -1 when it is closed. */
export interface Transport {
  write(bytes: Uint8Array): number
  pause(): void
  resume(): void
  /** Says that no more is written. */
  shutdown(): void
  /** Drops everything. */
  terminate(): void
}

/** What a transport tells; `close` comes last, and after a failure with it. */
export interface TransportEvents {
  data(bytes: Buffer): void
  drain(): void
  end(): void
  close(error?: Error): void
}

/** A text's bytes. The first Buffer that a program makes of a text takes it 0.2 ms longer. */
export const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

const enough = 1024 * 1024 // bytes held for a slow reader before the peer is made to wait

/** Without node:net, which costs 4 ms of start-up. */
async function openSocket(place: PlainPlace, events: TransportEvents): Promise<Transport> {
  let refused: Error | undefined
  const socket: SocketHandler<unknown> = {
    binaryType: "buffer",
    data: (_, bytes) => events.data(bytes),
    drain: () => events.drain(),
    end: () => events.end(),
    close: () => events.close(),
    error: (_, error) => events.close(error),
    connectError: (_, error) => {
      refused = error
    },
  }
  try {
    const opened: Socket<unknown> = await ("unix" in place
      ? Bun.connect({ unix: place.unix, allowHalfOpen: true, socket })
      : Bun.connect({ hostname: place.hostname, port: place.port, allowHalfOpen: true, socket }))
    return opened
  } catch (error) {
    throw refused ?? error
  }
}

/** A connected socket. One reader and one writer at a time. */
export class Connection {
  #socket: Transport | undefined
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
    const events: TransportEvents = {
      data: (bytes) => connection.#take(bytes),
      drain: () => connection.#drained(),
      end: () => connection.#finish(),
      close: (error) => connection.#finish(true, error),
    }
    const own = typeof Bun !== "undefined" && !("command" in place) && !("tls" in place)
    if (own) connection.#socket = await openSocket(place, events)
    else {
      const { openStream } = await import("./stream-transport.ts")
      connection.#socket = await openStream(place, events)
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
    let rest = typeof bytes === "string" ? encode(bytes) : bytes
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

  /** Drops the connection; with a reason, what is read or written next rejects with it. */
  close(reason?: Error): void {
    this.#ended = true
    if (reason !== undefined) {
      this.#problem = reason
      this.#held = []
    }
    this.#socket?.terminate()
    this.#wake()
    this.#drained()
  }
}
