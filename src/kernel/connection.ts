// One request is one connection to a unix socket: a plan out, frames in, and sometimes raw bytes after them.
import { closeSync, openSync } from "node:fs"
import { createConnection, type Socket } from "node:net"
import { basename, dirname } from "node:path"
import { failure } from "../base/errors.ts"
import { type Frame, FrameReader } from "./frames.ts"

/** What sun_path holds without its final NUL. */
const maxSocketPath = 107
/** Unread data that a connection keeps before it stops reading. */
const highWater = 2 << 20

const socketCode = (error: unknown): unknown =>
  error instanceof Error && "code" in error ? error.code : undefined

/** True when nobody listens at a socket's path. */
export const isAbsent = (error: unknown): boolean => {
  const code = socketCode(error)
  return code === "ENOENT" || code === "ECONNREFUSED"
}

/** True when the peer went away with our request unread: nothing of it was done, it may be asked again. */
export const isUnheard = (error: unknown): boolean => {
  const code = socketCode(error)
  return isAbsent(error) || code === "EPIPE" || code === "ECONNRESET"
}

function dial(path: string): Promise<Socket> {
  let directory: number | undefined
  let address = path
  if (Buffer.byteLength(path) > maxSocketPath) {
    directory = openSync(dirname(path), "r")
    address = `/proc/self/fd/${directory}/${basename(path)}`
  }
  return new Promise<Socket>((resolve, reject) => {
    const release = () => {
      if (directory !== undefined) closeSync(directory)
      directory = undefined
    }
    const socket = createConnection({ path: address, allowHalfOpen: true })
    const onError = (error: Error) => {
      release()
      reject(error)
    }
    socket.once("error", onError)
    socket.once("connect", () => {
      release()
      socket.off("error", onError)
      resolve(socket)
    })
  })
}

/** A connection whose frames are read one after the other. */
export class Connection {
  readonly socket: Socket
  readonly #reader = new FrameReader()
  #waiting: { resolve: (frame: Frame | undefined) => void; reject: (error: Error) => void } | undefined
  #broken: Error | undefined
  #ended = false
  #paused = false
  readonly #onData = (chunk: Buffer) => this.#take(chunk)
  readonly #onEnd = () => this.#finish(undefined)
  readonly #onError = (error: Error) => this.#finish(error)

  constructor(socket: Socket) {
    this.socket = socket
    socket.on("data", this.#onData)
    socket.on("end", this.#onEnd)
    socket.on("close", this.#onEnd)
    socket.on("error", this.#onError)
  }

  /** The next frame; undefined once the peer has closed. Throws when the connection broke. One reader at a time. */
  next(): Promise<Frame | undefined> {
    try {
      const frame = this.#reader.read()
      if (frame !== undefined) {
        this.#relieve()
        return Promise.resolve(frame)
      }
    } catch (error) {
      return Promise.reject(error)
    }
    if (this.#broken !== undefined) return Promise.reject(this.#broken)
    if (this.#ended) return Promise.resolve(undefined)
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
  }

  /** The next frame, which must be a report. Throws unavailable when the peer closed, internal when it is data. */
  async report(): Promise<readonly string[]> {
    const frame = await this.next()
    if (frame === undefined)
      throw failure("unavailable", "The launcher closed the connection before it answered")
    if (frame.type !== "report") throw failure("internal", "The launcher sent data where a report is due")
    return frame.fields
  }

  /** Writes, and waits while the peer does not take it. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.socket.write(bytes)) return
    await new Promise<void>((resolve) => {
      const { socket } = this
      const done = () => {
        socket.off("drain", done)
        socket.off("close", done)
        resolve()
      }
      socket.on("drain", done)
      socket.on("close", done)
    })
  }

  /** True once the peer closed its side or the connection broke. */
  get ended(): boolean {
    return this.#ended || this.#broken !== undefined
  }

  /** Gives the socket away with what was received and not read put back; it flows once someone listens. */
  detach(): Socket {
    const { socket } = this
    socket.pause()
    const wake = (event: string | symbol) => {
      if (event !== "data") return
      socket.off("newListener", wake)
      queueMicrotask(() => socket.resume())
    }
    socket.on("newListener", wake)
    socket.off("data", this.#onData)
    socket.off("end", this.#onEnd)
    socket.off("close", this.#onEnd)
    const rest = this.#reader.takeRest()
    if (rest.length > 0) socket.unshift(rest)
    return socket
  }

  destroy(): void {
    this.socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#reader.push(chunk)
    const waiting = this.#waiting
    if (waiting === undefined) {
      if (this.#reader.pendingBytes < highWater) return
      this.#paused = true
      this.socket.pause()
      return
    }
    try {
      const frame = this.#reader.read()
      if (frame === undefined) return
      this.#waiting = undefined
      waiting.resolve(frame)
    } catch (error) {
      this.#waiting = undefined
      this.socket.destroy()
      waiting.reject(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #relieve(): void {
    if (!this.#paused || this.#reader.pendingBytes >= highWater / 2) return
    this.#paused = false
    this.socket.resume()
  }

  #finish(error: Error | undefined): void {
    if (error === undefined) this.#ended = true
    else this.#broken ??= error
    const waiting = this.#waiting
    if (waiting === undefined) return
    this.#waiting = undefined
    if (error === undefined) waiting.resolve(undefined)
    else waiting.reject(error)
  }
}

/** Connects; the request is written later. Throws the socket's error when nobody listens (see {@link isAbsent}). */
export const open = async (path: string): Promise<Connection> => new Connection(await dial(path))

/** Connects and sends a request. Throws the socket's error when nobody listens (see {@link isAbsent}). */
export async function connect(path: string, request: Buffer): Promise<Connection> {
  const connection = await open(path)
  connection.socket.write(request)
  return connection
}
