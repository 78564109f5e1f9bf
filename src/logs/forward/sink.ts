// A receiver's door: a connection or a datagram socket that takes pieces one after another.
import { createSocket } from "node:dgram"
import { connect } from "node:net"
import { failure } from "../../base/errors.ts"
import type { Place } from "./target.ts"

export interface Sink {
  /** Resolves when the kernel has all of it. Rejects when the receiver is gone. */
  send(piece: Uint8Array): Promise<void>
  close(): void
}

const PATIENCE = 5000 // milliseconds for a connection to come about

/** Throws unavailable when nobody listens there. */
export async function openSink(place: Place, greeting = ""): Promise<Sink> {
  return place.kind === "udp" ? openDatagrams(place.host, place.port) : openStream(place, greeting)
}

function openDatagrams(host: string, port: number): Sink {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4")
  socket.on("error", () => {})
  socket.unref()
  return {
    send: (piece) =>
      new Promise((resolve) => {
        // A datagram that is refused is lost, as datagrams are.
        socket.send(piece, port, host, () => resolve())
      }),
    close: () => socket.close(),
  }
}

async function openStream(place: Exclude<Place, { kind: "udp" }>, greeting: string): Promise<Sink> {
  const name = place.kind === "unix" ? place.path : `${place.host}:${place.port}`
  const socket = place.kind === "unix" ? connect(place.path) : connect(place.port, place.host)
  let gone: Error | undefined
  let wake: () => void = () => {}
  const end = (reason: string) => {
    gone ??= failure("unavailable", `${name}: ${reason}`)
    socket.destroy()
    wake()
  }
  socket.on("error", (error) => end(error.message))
  socket.on("close", () => end("the receiver hung up"))
  socket.on("end", () => end("the receiver hung up"))
  socket.resume()
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => end("no answer"), PATIENCE)
    wake = () => {
      clearTimeout(timer)
      resolve()
    }
    socket.once("connect", () => wake())
  })
  if (gone !== undefined) throw gone
  const send = (piece: Uint8Array | string) =>
    new Promise<void>((resolve, reject) => {
      const settle = () => (gone === undefined ? resolve() : reject(gone))
      if (gone !== undefined) return settle()
      wake = settle
      socket.write(piece, () => settle())
    })
  if (greeting !== "") await send(greeting)
  return { send, close: () => socket.destroy() }
}
