// A name server for tests of the relay, and questions from inside a container's network namespace.
import { type ChildProcess, spawn } from "node:child_process"
import { rmSync } from "node:fs"
import { createServer, type Server, type Socket } from "node:net"

const HEADER = 8

/** Answers what monitors relay to a unix socket; by default every question comes back with "!" after it. */
export class NameServer {
  readonly path: string
  readonly hellos: string[] = []
  readonly questions: string[] = []
  /** What was passed on from servers inside: address, port and bytes. */
  readonly passed: string[] = []
  answer: (bytes: Buffer) => Buffer | undefined = (bytes) => Buffer.concat([bytes, Buffer.from("!")])
  /** Bytes to send instead of an answer's frame. */
  raw: (() => Buffer) | undefined
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined

  constructor(path: string) {
    this.path = path
  }

  async open(): Promise<void> {
    if (this.#server) return
    rmSync(this.path, { force: true })
    const server = createServer((socket) => this.#serve(socket))
    this.#server = server
    await new Promise<void>((resolve) => server.listen(this.path, resolve))
  }

  async close(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    for (const socket of this.#sockets) socket.destroy()
    await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()))
  }

  #serve(socket: Socket): void {
    let pending = Buffer.alloc(0)
    this.#sockets.add(socket)
    socket.on("error", () => {})
    socket.on("close", () => this.#sockets.delete(socket))
    socket.on("data", (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk])
      while (pending.length >= HEADER && pending.length >= HEADER + pending.readUInt16LE(0)) {
        const length = HEADER + pending.readUInt16LE(0)
        this.#take(socket, pending.subarray(0, length))
        pending = pending.subarray(length)
      }
    })
  }

  #take(socket: Socket, frame: Buffer): void {
    const bytes = frame.subarray(HEADER)
    if (frame[2] === 1) this.hellos.push(bytes.toString())
    if (frame[2] === 4) {
      this.passed.push(`${bytes.subarray(0, 4).join(".")}:${bytes.readUInt16BE(4)} ${bytes.subarray(6)}`)
      // It keeps a place until it has been heard.
      const heard = Buffer.from(frame.subarray(0, HEADER))
      heard.writeUInt16LE(0, 0)
      heard[2] = 3
      socket.write(heard)
    }
    if (frame[2] !== 2) return
    this.questions.push(bytes.toString("latin1"))
    if (this.raw) return void socket.write(this.raw())
    const answer = this.answer(bytes)
    if (!answer) return
    const header = Buffer.alloc(HEADER)
    header.writeUInt16LE(answer.length, 0)
    header[2] = 3
    frame.copy(header, 4, 4, 8)
    socket.write(Buffer.concat([header, answer]))
  }

  /** Waits until a question beginning with the text has come. */
  async heard(text: string): Promise<void> {
    for (let tries = 0; !this.questions.some((question) => question.startsWith(text)); tries++) {
      if (tries > 3000) throw new Error(`nobody asked for ${text}`)
      await Bun.sleep(1)
    }
  }

  /** Waits until no monitor is connected any more. */
  async gone(): Promise<void> {
    for (let tries = 0; this.#sockets.size > 0; tries++) {
      if (tries > 500) throw new Error("a monitor keeps its connection")
      await Bun.sleep(10)
    }
  }
}

/** Runs a script of this runtime in the network namespace of a process; what it printed. */
export const inNamespace = (pid: number, script: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn("nsenter", [`--net=/proc/${pid}/ns/net`, process.execPath, "-e", script], {
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 10_000,
    })
    let text = ""
    child.stdout.on("data", (bytes: Buffer) => {
      text += bytes.toString()
    })
    child.stderr.on("data", (bytes: Buffer) => {
      text += bytes.toString()
    })
    child.once("error", reject)
    child.once("close", () => resolve(text))
  })

/** Asks by UDP in the network namespace of a process every few milliseconds, until it is killed. */
export const keepAsking = (pid: number): ChildProcess =>
  spawn("nsenter", [
    `--net=/proc/${pid}/ns/net`,
    process.execPath,
    "-e",
    `const socket = require("node:dgram").createSocket("udp4"); setInterval(() => socket.send("still asking", 61053, "127.0.0.11"), 3)`,
  ])
