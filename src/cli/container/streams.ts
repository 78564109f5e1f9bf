// Joins the terminal to a hijacked connection: raw mode, demultiplexing, half-close, resize, signals.
import { type Connection, Demultiplexer, type EngineClient } from "../../client/client.ts"
import { readStandardInput } from "../input.ts"
import { processes } from "../lazy-modules.ts"
import type { Context } from "../verb.ts"

/** Writes a body of frames (or, of a terminal, plain bytes) to our own output, as fast as that takes it. */
export async function writeStreams(
  context: Context,
  chunks: AsyncIterable<Buffer>,
  options: { tty: boolean },
): Promise<void> {
  const frames = new Demultiplexer()
  for await (const chunk of chunks) {
    if (options.tty) await context.out.write(chunk)
    else
      for (const { to, bytes } of frames.split(chunk)) {
        const full = (to === "stdout" ? context.out : context.err).write(bytes)
        if (full) await full
      }
  }
}

export interface Joined {
  /** Resolves when the server closed the stream: the process ended, or a detach. */
  readonly ended: Promise<void>
  /** Gives the terminal back. */
  restore(): void
}

/** Pumps both directions. With a tty our terminal turns raw (when it is one). */
export function joinStreams(
  context: Context,
  socket: Connection,
  options: { tty: boolean; stdin: boolean },
): Joined {
  const stdin = options.stdin ? context.stdin : undefined
  const raw = options.tty && stdin?.isTTY === true
  const restore = () => {
    if (raw) stdin?.setRawMode(false)
    if (raw) setOutputProcessing(true)
    if (stdin?.isTTY) stdin.pause()
    process.off("exit", restore)
  }
  if (raw) stdin?.setRawMode(true)
  if (raw) setOutputProcessing(false)
  process.on("exit", restore)
  if (stdin) pumpInput(stdin, socket)
  else socket.endWriting()
  return { ended: writeStreams(context, chunksOf(socket), options), restore }
}

/** The runtime's raw mode still turns LF into CR LF, which the remote terminal has done already. */
function setOutputProcessing(on: boolean): void {
  // Without stty the screen looks the same, with one CR too many on each line.
  processes().spawnSync("stty", [on ? "opost" : "-opost"], { stdio: ["inherit", "ignore", "ignore"] })
}

/** A connection that breaks ends the stream like one that is closed: the exit code tells the rest. */
async function* chunksOf(socket: Connection): AsyncGenerator<Buffer> {
  for (;;) {
    const bytes = await socket.read().catch(() => undefined)
    if (!bytes) return
    yield bytes
  }
}

/** A terminal is read through the runtime, which knows raw mode; everything else by descriptor. */
function pumpInput(stdin: NodeJS.ReadStream, socket: Connection): void {
  if (stdin.isTTY) pumpTerminal(stdin, socket)
  else
    void pumpBytes(socket).then(
      () => socket.endWriting(),
      () => undefined, // the process no longer reads
    )
}

async function pumpBytes(socket: Connection): Promise<void> {
  for await (const bytes of readStandardInput()) await socket.write(bytes)
}

function pumpTerminal(stdin: NodeJS.ReadStream, socket: Connection): void {
  let last: Promise<void> = Promise.resolve()
  stdin.on("data", (bytes: Buffer) => {
    last = last.then(() => socket.write(bytes)).catch(() => undefined)
  })
  stdin.once("end", () => void last.then(() => socket.endWriting()))
  stdin.resume()
}

/** Keeps the remote terminal as large as ours; returns the end of it. `redraw` makes the program there draw again. */
export function followSize(
  context: Context,
  client: EngineClient,
  path: string,
  options: { redraw?: boolean } = {},
): () => void {
  if (!context.out.isTTY) return () => undefined
  const send = (more: number) => {
    const query = { h: context.out.rows + more, w: context.out.columns + more }
    // The process may have ended already: then its size is of no interest.
    return client.call("POST", `${path}/resize`, { query }).catch(() => undefined)
  }
  const tell = () => void send(0)
  // Only a change of size is told to the program.
  if (options.redraw) void send(1).then(tell)
  else tell()
  process.on("SIGWINCH", tell)
  return () => void process.off("SIGWINCH", tell)
}

const forwarded = [
  ...(["SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGTERM", "SIGCONT"] as const),
  ...(["SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGXCPU", "SIGXFSZ", "SIGIO", "SIGPWR"] as const),
]

/** Sends the signals that we get to the container; returns the end of it. */
export function forwardSignals(client: EngineClient, id: string): () => void {
  const handlers = forwarded.map((name) => {
    const query = { signal: name.slice(3) }
    const handler = () => void client.call("POST", `/containers/${id}/kill`, { query }).catch(() => undefined)
    process.on(name, handler)
    return [name, handler] as const
  })
  return () => {
    for (const [name, handler] of handlers) process.off(name, handler)
  }
}
