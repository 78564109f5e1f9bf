// Joins a client's connection and an attached process: bytes both ways with back-pressure, half-close kept as such.
import { type Duplex, Transform } from "node:stream"
import type { Hijacked } from "../call.ts"
import { frame } from "./frames.ts"

/** What a terminal shows, as frames of standard output. */
const framing = (): Transform =>
  new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      done(null, frame("stdout", chunk))
    },
  })

/**
 * Runs until the process's stream ends or the client goes away, which detaches it. Never throws: whatever breaks on
 * one side closes the other. `stdin` false = what the client sends is dropped; `framed` = the process's
 * bytes are raw and the client wants frames; `breath` = milliseconds before the first of them. Resolves when the client has been given
 * everything, or is gone.
 */
export function splice(
  client: Hijacked,
  attached: Duplex,
  options: { stdin: boolean; framed?: boolean; breath?: number },
): Promise<void> {
  if (client.output.destroyed) {
    // It went away while the process was launched.
    attached.destroy()
    return Promise.resolve()
  }
  let over = false
  const detach = () => {
    if (over) return
    over = true
    attached.destroy()
    client.destroy()
  }
  attached.once("end", () => {
    over = true
    // The client may still hold its side open; it has nothing more to say to anyone.
    client.input.resume()
  })
  attached.once("error", detach)
  attached.once("close", () => {
    if (!over) detach()
  })
  client.output.once("error", detach)
  client.output.once("close", detach)
  client.input.once("error", detach)
  const start = () => {
    if (options.framed) attached.pipe(framing()).pipe(client.output)
    else attached.pipe(client.output)
  }
  if (options.breath) setTimeout(start, options.breath)
  else start()
  if (options.stdin) client.input.pipe(attached)
  else client.input.resume()
  return new Promise((resolve) => {
    client.output.once("finish", resolve)
    client.output.once("close", resolve)
  })
}
