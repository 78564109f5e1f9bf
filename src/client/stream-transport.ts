// Ways to a server that go through the runtime's own streams: Node's sockets, TLS, and a program's standard input and output.
import { spawn } from "node:child_process"
import { connect } from "node:net"
import type { Duplex } from "node:stream"
import { connect as connectTls } from "node:tls"
import type { Place, Transport, TransportEvents } from "./connection.ts"

/** A stream as a transport: what it took is told at once, and that it is full by taking nothing until "drain". */
function ofStream(stream: Duplex, events: TransportEvents): Transport {
  let full = false
  stream.on("data", (bytes: Buffer) => events.data(bytes))
  stream.on("drain", () => {
    full = false
    events.drain()
  })
  stream.on("end", () => events.end())
  stream.on("error", (error) => events.close(error))
  stream.on("close", () => events.close())
  return {
    write(bytes) {
      if (stream.destroyed || stream.writableEnded) return -1
      if (full) return 0
      full = !stream.write(bytes)
      return bytes.length
    },
    pause: () => void stream.pause(),
    resume: () => void stream.resume(),
    shutdown: () => void stream.end(),
    terminate: () => void stream.destroy(),
  }
}

const settled = (stream: Duplex, ready: "connect" | "secureConnect"): Promise<Duplex> =>
  new Promise((resolve, reject) => {
    stream.once(ready, () => {
      stream.off("error", reject)
      resolve(stream)
    })
    stream.once("error", reject)
  })

/** A program's standard input and output; what it complained of becomes the reason why the connection broke. */
function startProgram(words: readonly string[], events: TransportEvents): Transport {
  const [program = "", ...rest] = words
  const child = spawn(program, rest, { stdio: ["pipe", "pipe", "pipe"] })
  let said = ""
  let full = false
  child.stderr.on("data", (bytes: Buffer) => {
    said = (said + bytes.toString("utf8")).slice(-2000)
  })
  child.stdout.on("data", (bytes: Buffer) => events.data(bytes))
  child.stdin.on("drain", () => {
    full = false
    events.drain()
  })
  child.stdin.on("error", () => undefined) // its exit code says more
  child.once("error", (error) => events.close(error))
  child.once("close", (code) =>
    events.close(
      code ? new Error(`${program} ended with code ${code}: ${said.trim() || "it said nothing"}`) : undefined,
    ),
  )
  return {
    write(bytes) {
      if (child.stdin.destroyed || child.stdin.writableEnded) return -1
      if (full) return 0
      full = !child.stdin.write(bytes)
      return bytes.length
    },
    pause: () => void child.stdout.pause(),
    resume: () => void child.stdout.resume(),
    shutdown: () => void child.stdin.end(),
    terminate: () => void child.kill(),
  }
}

/** Connects and resolves once bytes can flow. Rejects with the system's error. */
export async function openStream(place: Place, events: TransportEvents): Promise<Transport> {
  if ("command" in place) return startProgram(place.command, events)
  if ("unix" in place)
    return ofStream(await settled(connect({ path: place.unix, allowHalfOpen: true }), "connect"), events)
  const { hostname: host, port, tls } = place
  if (tls === undefined)
    return ofStream(await settled(connect({ host, port, allowHalfOpen: true }), "connect"), events)
  const stream = connectTls({
    host,
    port,
    ca: tls.ca,
    cert: tls.cert,
    key: tls.key,
    rejectUnauthorized: tls.verify,
    ALPNProtocols: ["http/1.1"],
    ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
  })
  return ofStream(await settled(stream, "secureConnect"), events)
}
