// A container with its monitor, for the monitor's tests: a busybox root, one launch, and what it left on disk.
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs"
import { createConnection, type Socket } from "node:net"
import { join } from "node:path"
import {
  type Connection,
  connect,
  encodeFrame,
  encodePlan,
  type Operation,
  type Report,
  type TestLauncher,
} from "./client.ts"

const applets = [
  "sh",
  "cat",
  "head",
  "yes",
  "sleep",
  "printf",
  "echo",
  "stty",
  "seq",
  "kill",
  "tr",
  "dd",
  "true",
]

/** A root file system with busybox in the launcher's directory; made once. */
export function makeRoot(launcher: TestLauncher): string {
  const root = join(launcher.directory, "root")
  if (existsSync(root)) return root
  for (const directory of ["bin", "proc", "dev", "tmp"]) mkdirSync(join(root, directory), { recursive: true })
  copyFileSync("/bin/busybox", join(root, "bin/busybox"))
  for (const applet of applets) symlinkSync("busybox", join(root, "bin", applet))
  return root
}

export interface LaunchOptions {
  readonly tty?: boolean
  readonly stdin?: "open" | "closed"
  readonly once?: "once" | "keep"
  readonly log?: readonly [maxBytes: number, maxFiles: number] | "none"
  /** Instead of a file in the container's directory. */
  readonly logPath?: string
  readonly expect?: number
  readonly rows?: number
  readonly cols?: number
  readonly extra?: readonly Operation[]
  /** `host` shares the pid namespace. */
  readonly pid?: "host"
}

export interface Line {
  readonly log: string
  readonly stream: "stdout" | "stderr"
  readonly time: string
}

let launched = 0

/** One launched container: its plan's connection and its monitor's socket. */
export class Monitored {
  readonly plan: Connection
  readonly directory: string

  constructor(plan: Connection, directory: string) {
    this.plan = plan
    this.directory = directory
  }

  get socket(): string {
    return join(this.directory, "monitor.sock")
  }

  get log(): string {
    return join(this.directory, "log")
  }

  lines(path = this.log): Line[] {
    // The monitor makes the file with the first line.
    if (!existsSync(path)) return []
    return readFileSync(path, "utf8")
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line)
  }

  text(stream: "stdout" | "stderr"): string {
    return this.lines()
      .filter((line) => line.stream === stream)
      .map((line) => line.log)
      .join("")
  }

  async started(): Promise<number> {
    let report = await this.plan.report()
    if (report.kind === "listening") report = await this.plan.report()
    if (report.kind !== "started") throw new Error(`not started: ${report.fields.join(" ")}`)
    return Number(report.fields[0])
  }

  /** The `exited` report; the numbers of kills that `oom` reports tell before it are given to onKills. */
  async ended(onKills: (kills: number) => void = () => {}): Promise<Report> {
    let report = await this.plan.report()
    for (; report.kind === "oom"; report = await this.plan.report()) onKills(Number(report.fields[0]))
    if (report.kind !== "exited") throw new Error(`not exited: ${report.kind} ${report.fields.join(" ")}`)
    return report
  }

  /** Attaches; the connection that comes back is raw. */
  async attach(streams: string, exec?: string): Promise<Connection> {
    const connection = await connect(this.socket)
    connection.send([["attach"], ["streams", streams], ...(exec ? [["exec", exec] as const] : [])])
    const report = await connection.report()
    if (report.kind !== "ok") throw new Error(`not attached: ${report.fields.join(" ")}`)
    return connection
  }

  async ask(operations: readonly Operation[]): Promise<Report> {
    const connection = await connect(this.socket)
    connection.send(operations)
    const report = await connection.report()
    connection.close()
    return report
  }
}

const stdio = (options: LaunchOptions): Operation => [
  "stdio",
  options.tty ? "tty" : "pipe",
  options.stdin ?? "closed",
  options.once ?? "once",
  options.rows ?? 0,
  options.cols ?? 0,
]

const expected = (options: LaunchOptions): Operation[] =>
  options.expect ? [["attach-expect", options.expect]] : []

/** Launches argv in a fresh mount and pid namespace. */
export async function launch(
  launcher: TestLauncher,
  argv: readonly string[],
  options: LaunchOptions = {},
): Promise<Monitored> {
  const directory = join(launcher.directory, `c${++launched}`)
  mkdirSync(directory)
  const plan = await connect(launcher.socket)
  const log: Operation =
    options.log === "none"
      ? ["log", "none"]
      : ["log", "json-file", options.logPath ?? join(directory, "log"), ...(options.log ?? [0, 1])]
  plan.send([
    ["launch", `c${launched}`],
    ["monitor-socket", join(directory, "monitor.sock")],
    ["exit-record", join(directory, "exit"), "nosync"],
    log,
    stdio(options),
    ...expected(options),
    ...(options.extra ?? []),
    ["namespace", "mount", "new"],
    ...(options.pid === "host" ? [] : [["namespace", "pid", "new"] as const]),
    ["root-path", makeRoot(launcher)],
    ["mount", "proc", "proc", "/proc", "nosuid,nodev,noexec", ""],
    ["mount", "tmpfs", "tmpfs", "/dev", "nosuid", "mode=755"],
    ["mount", "devpts", "devpts", "/dev/pts", "nosuid,noexec", "newinstance,ptmxmode=0666,mode=0620"],
    ["device", "/dev/null", "c", 1, 3, "666", 0, 0],
    ["env", "PATH=/bin:/usr/bin"],
    ["cwd", "/", "exist"],
    ["argv", ...argv],
  ])
  return new Monitored(plan, directory)
}

export const shell = (launcher: TestLauncher, script: string, options: LaunchOptions = {}) =>
  launch(launcher, ["/bin/sh", "-c", script], options)

/** Starts an exec; the connection that comes back gets `started` and later `exited`. */
export async function exec(
  container: Monitored,
  id: string,
  script: string,
  options: LaunchOptions = {},
): Promise<Connection> {
  const connection = await connect(container.socket)
  connection.send([
    ["exec", id],
    stdio(options),
    ...expected(options),
    ...(options.extra ?? []),
    ["env", "PATH=/bin:/usr/bin"],
    ["cwd", "/", "exist"],
    ["argv", "/bin/sh", "-c", script],
  ])
  return connection
}

/** Splits Docker's multiplexed frames into the two streams. */
export function demultiplex(bytes: Buffer): { stdout: string; stderr: string } {
  const streams: Record<number, Buffer[]> = { 1: [], 2: [] }
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at + 4)
    streams[bytes[at] ?? 0]?.push(bytes.subarray(at + 8, at + 8 + length))
    at += 8 + length
  }
  return {
    stdout: Buffer.concat(streams[1] ?? []).toString(),
    stderr: Buffer.concat(streams[2] ?? []).toString(),
  }
}

export interface Count {
  bytes: number
  readonly socket: Socket
  readonly ended: Promise<void>
}

/** Attaches to stdout and counts what its frames carry, without keeping it. */
export function countOutput(container: Monitored): Promise<Count> {
  const socket = createConnection({ path: container.socket })
  const count: Count = {
    bytes: 0,
    socket,
    ended: new Promise((resolve) => socket.once("end", () => resolve())),
  }
  let header = Buffer.alloc(0)
  let left = 0
  let answered = false
  return new Promise((resolve, reject) => {
    socket.once("error", reject)
    socket.write(encodeFrame(1, encodePlan([["attach"], ["streams", "stdout"]])))
    socket.on("data", (chunk: Buffer) => {
      for (let at = 0; at < chunk.length; ) {
        if (left > 0) {
          const part = Math.min(left, chunk.length - at)
          if (answered) count.bytes += part
          left -= part
          at += part
        } else {
          const part = chunk.subarray(at, at + 8 - header.length)
          header = Buffer.concat([header, part])
          at += part.length
          if (header.length < 8) return
          left = answered ? header.readUInt32BE(4) : header.readUInt32LE(4)
          header = Buffer.alloc(0)
        }
        if (left === 0 && !answered) {
          answered = true
          resolve(count)
        }
      }
    })
  })
}

/** A field of the monitor's memory in KiB, from smaps_rollup. */
export function memoryOf(pid: number, field = "Pss"): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8")
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0)
}

/** The monitor of a container's init: its parent. */
export function monitorOf(init: number): number {
  return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${init}/status`, "utf8"))?.[1] ?? 0)
}

/** Waits until a condition holds; throws after five seconds. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    if (tries > 500) throw new Error(`waited in vain until ${what}`)
    await Bun.sleep(10)
  }
}
