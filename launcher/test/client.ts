// A tiny client of the launcher for its own tests: frames, plans, reports, and a launcher in a directory of its own.
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { createConnection, type Socket } from "node:net"
import { join } from "node:path"

/** One operation of a plan: its name, then its arguments. */
export type Operation = readonly [string, ...(string | number)[]]

/** A decoded report: kind and raw fields; `values` for the key/value pairs of `ok`. */
export interface Report {
  readonly kind: string
  readonly fields: readonly string[]
  readonly values: Readonly<Record<string, string>>
}

export interface Frame {
  readonly kind: number
  readonly payload: Buffer
}

export function encodeFrame(kind: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(8)
  header[0] = 1
  header[1] = kind
  header.writeUInt32LE(payload.length, 4)
  return Buffer.concat([header, payload])
}

export function encodePlan(operations: readonly Operation[]): Buffer {
  const words = operations.flatMap(([name, ...args]) => [name, String(args.length), ...args.map(String)])
  return Buffer.from(words.map((word) => `${word}\0`).join(""), "utf8")
}

export function decodeReport(payload: Buffer): Report {
  const [kind = "", ...fields] = payload.toString("utf8").split("\0").slice(0, -1)
  const values: Record<string, string> = {}
  for (let i = 0; i + 1 < fields.length; i += 2) values[fields[i] ?? ""] = fields[i + 1] ?? ""
  return { kind, fields, values }
}

/** A connection to a launcher or monitor that reads frame by frame. */
export class Connection {
  readonly socket: Socket
  #pending = Buffer.alloc(0)
  #ended = false
  #wake: () => void = () => {}

  constructor(socket: Socket) {
    this.socket = socket
    socket.on("data", (chunk: Buffer) => {
      this.#pending = Buffer.concat([this.#pending, chunk])
      this.#wake()
    })
    const end = () => {
      this.#ended = true
      this.#wake()
    }
    socket.on("end", end)
    socket.on("close", end)
    socket.on("error", end)
  }

  send(operations: readonly Operation[]): void {
    this.socket.write(encodeFrame(1, encodePlan(operations)))
  }

  data(payload: Uint8Array): void {
    this.socket.write(encodeFrame(3, payload))
  }

  /** The next frame, or undefined when the peer has closed. */
  async frame(): Promise<Frame | undefined> {
    for (;;) {
      if (this.#pending.length >= 8) {
        const length = this.#pending.readUInt32LE(4)
        if (this.#pending.length >= 8 + length) {
          const frame = { kind: this.#pending[1] ?? 0, payload: this.#pending.subarray(8, 8 + length) }
          this.#pending = this.#pending.subarray(8 + length)
          return frame
        }
      }
      if (this.#ended) return undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** The next report; data frames before it are given to onData. Throws when the peer closes first. */
  async report(onData: (payload: Buffer) => void = () => {}): Promise<Report> {
    for (;;) {
      const frame = await this.frame()
      if (!frame) throw new Error("the connection ended before a report came")
      if (frame.kind === 2) return decodeReport(frame.payload)
      onData(frame.payload)
    }
  }

  /** All reports until the peer closes. */
  async reports(): Promise<Report[]> {
    const all: Report[] = []
    for (let frame = await this.frame(); frame; frame = await this.frame())
      if (frame.kind === 2) all.push(decodeReport(frame.payload))
    return all
  }

  /** The raw bytes that came and were not read as frames (after `attach`). */
  async rest(): Promise<Buffer> {
    while (!this.#ended)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    return this.#pending
  }

  close(): void {
    this.socket.destroy()
  }
}

export function connect(path: string): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path, allowHalfOpen: true })
    socket.once("error", reject)
    socket.once("connect", () => resolve(new Connection(socket)))
  })
}

/** Sends one plan and gives its first report. */
export async function ask(path: string, operations: readonly Operation[]): Promise<Report> {
  const connection = await connect(path)
  try {
    connection.send(operations)
    return await connection.report()
  } finally {
    connection.close()
  }
}

/** The launcher to test: SLOOP_LAUNCHER, else dist/launcher. */
export const launcherBinary = process.env.SLOOP_LAUNCHER ?? join(import.meta.dir, "../../dist/launcher")

export interface TestLauncher extends AsyncDisposable {
  readonly socket: string
  readonly directory: string
  readonly process: ChildProcess
}

/** Starts a launcher in a fresh directory; disposing kills it and removes the directory. */
export async function startLauncher(binary: string = launcherBinary): Promise<TestLauncher> {
  mkdirSync("/var/tmp/sloop-test", { recursive: true })
  const directory = mkdtempSync("/var/tmp/sloop-test/l-")
  const socket = join(directory, "launcher.sock")
  const child = spawn(binary, ["serve", socket, directory], {
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, ASAN_OPTIONS: "detect_leaks=0:abort_on_error=1" },
  })
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()))
  for (let tries = 0; !existsSync(socket) || !(await answers(socket)); tries++) {
    if (tries > 500 || child.exitCode !== null) throw new Error("the launcher did not start")
    await Bun.sleep(5)
  }
  return {
    socket,
    directory,
    process: child,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL")
      await ended
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function answers(socket: string): Promise<boolean> {
  try {
    return (await ask(socket, [["version"]])).kind === "ok"
  } catch {
    return false
  }
}
