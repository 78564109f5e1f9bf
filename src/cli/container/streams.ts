// Joins the terminal to a hijacked connection: raw mode, demultiplexing, half-close, resize, signals.
import { constants } from "node:os"
import type { Duplex } from "node:stream"
import type { EngineClient } from "../../client/client.ts"
import type { Context } from "../verb.ts"

/** Splits Docker's multiplexed frames into two sinks, without copying payloads. */
export class Demultiplexer {
  readonly #sinks: Readonly<Record<number, (bytes: Buffer) => boolean>>
  #header = Buffer.alloc(0)
  #stream = 0
  #left = 0

  constructor(sinks: { stdout: (bytes: Buffer) => boolean; stderr: (bytes: Buffer) => boolean }) {
    this.#sinks = { 0: sinks.stdout, 1: sinks.stdout, 2: sinks.stderr }
  }

  /** Returns false when a sink asks to wait. */
  push(chunk: Buffer): boolean {
    let flowing = true
    let rest = this.#header.length > 0 && this.#left === 0 ? Buffer.concat([this.#header, chunk]) : chunk
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
      const part = rest.subarray(0, this.#left)
      flowing = (this.#sinks[this.#stream]?.(part) ?? true) && flowing
      this.#left -= part.length
      rest = rest.subarray(part.length)
    }
    return flowing
  }
}

export interface Joined {
  /** Resolves when the server closed the stream, or a detach. */
  readonly ended: Promise<void>
  /** Gives the terminal back. */
  restore(): void
}

/** Pumps both directions. With a tty our terminal turns raw (when it is one). */
export function joinStreams(
  context: Context,
  socket: Duplex,
  options: { tty: boolean; stdin: boolean },
): Joined {
  const { stdin, out, err } = context
  const raw = options.tty && options.stdin && stdin.isTTY === true
  if (raw) stdin.setRawMode(true)
  const ended = pumpOutput(socket, out, err, options.tty)
  if (options.stdin) pumpInput(stdin, socket)
  else if (!options.tty) socket.end()
  return {
    ended,
    restore: () => {
      if (raw) stdin.setRawMode(false)
      stdin.pause()
      stdin.unref?.()
    },
  }
}

function pumpOutput(
  socket: Duplex,
  out: NodeJS.WriteStream,
  err: NodeJS.WriteStream,
  tty: boolean,
): Promise<void> {
  const sink = (to: NodeJS.WriteStream) => (bytes: Buffer) => to.write(bytes) || wait(to)
  const wait = (to: NodeJS.WriteStream): false => {
    socket.pause()
    to.once("drain", () => socket.resume())
    return false
  }
  const frames = new Demultiplexer({ stdout: sink(out), stderr: sink(err) })
  const toOut = sink(out)
  return new Promise((resolve) => {
    socket.on("data", (chunk: Buffer) => void (tty ? toOut(chunk) : frames.push(chunk)))
    socket.once("end", () => resolve())
    socket.once("close", () => resolve())
    socket.once("error", () => resolve())
  })
}

function pumpInput(stdin: NodeJS.ReadStream, socket: Duplex): void {
  stdin.on("data", (chunk: Buffer) => {
    if (socket.writable && !socket.write(chunk)) {
      stdin.pause()
      socket.once("drain", () => stdin.resume())
    }
  })
  stdin.once("end", () => socket.end())
  stdin.resume()
}

/** Keeps the remote terminal as large as ours; returns the end of it. */
export function followSize(context: Context, client: EngineClient, path: string): () => void {
  if (!context.out.isTTY) return () => undefined
  const tell = () => {
    const query = { h: context.out.rows, w: context.out.columns }
    // The process may have ended already: then its size is of no interest.
    client.call("POST", `${path}/resize`, { query }).catch(() => undefined)
  }
  tell()
  process.on("SIGWINCH", tell)
  return () => void process.off("SIGWINCH", tell)
}

const unforwarded = new Set([
  "SIGKILL",
  "SIGSTOP",
  "SIGCHLD",
  "SIGPIPE",
  "SIGWINCH",
  "SIGURG",
  "SIGPROF",
  "SIGSEGV",
  "SIGBUS",
  "SIGFPE",
  "SIGILL",
  "SIGTRAP",
  "SIGABRT",
  "SIGIOT",
  "SIGVTALRM",
])

/** Sends every signal that we get to the container; returns the end of it. */
export function forwardSignals(client: EngineClient, id: string): () => void {
  const handlers = Object.keys(constants.signals)
    .filter((name) => !unforwarded.has(name))
    .map((name) => {
      const handler = () =>
        void client.call("POST", `/containers/${id}/kill`, { query: { signal: name } }).catch(() => undefined)
      try {
        process.on(name as NodeJS.Signals, handler)
      } catch {
        // The runtime keeps some signals to itself.
      }
      return [name, handler] as const
    })
  return () => {
    for (const [name, handler] of handlers) process.off(name, handler)
  }
}
