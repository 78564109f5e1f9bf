// Containers for the launcher's tests: a busybox root, a plan like Docker's, and what such a container printed.
import { copyFileSync, mkdirSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { connect, type Operation, type Report } from "./client.ts"

const tools =
  "sh ls cat echo id true false sleep mkdir mount umount grep hostname ps stat readlink wc kill env pwd touch rm ln head dd nc tty stty ip chmod test [ expr printf cut sort find setsid od trap seq".split(
    " ",
  )

/** Makes a root file system with busybox, passwd and group. */
export function makeRoot(directory: string): string {
  for (const name of ["bin", "etc", "proc", "sys", "dev", "tmp", "root", "var", "home/user"])
    mkdirSync(join(directory, name), { recursive: true })
  copyFileSync("/bin/busybox", join(directory, "bin/busybox"))
  for (const tool of tools) symlinkSync("busybox", join(directory, "bin", tool))
  writeFileSync(
    join(directory, "etc/passwd"),
    "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\nbroken:x:4294967296:0::/:/bin/sh\n",
  )
  writeFileSync(
    join(directory, "etc/group"),
    "root:x:0:\nwheel:x:10:root,user\nuser:x:1000:\naudio:x:29:user\n",
  )
  return directory
}

/** The mounts and nodes every Docker container has. */
export const standardMounts: readonly Operation[] = [
  ["mount", "proc", "proc", "/proc", "nosuid,nodev,noexec", ""],
  ["mount", "tmpfs", "tmpfs", "/dev", "nosuid,strictatime", "mode=755,size=65536k"],
  ["mount", "devpts", "devpts", "/dev/pts", "nosuid,noexec", "newinstance,ptmxmode=0666,mode=0620,gid=5"],
  ["mount", "mqueue", "mqueue", "/dev/mqueue", "nosuid,nodev,noexec", ""],
  ["mount", "tmpfs", "shm", "/dev/shm", "nosuid,nodev,noexec", "mode=1777,size=65536k"],
  ["mount", "sysfs", "sysfs", "/sys", "nosuid,nodev,noexec,ro", ""],
  ["device", "/dev/null", "c", 1, 3, "666", 0, 0],
  ["device", "/dev/zero", "c", 1, 5, "666", 0, 0],
  ["device", "/dev/full", "c", 1, 7, "666", 0, 0],
  ["device", "/dev/random", "c", 1, 8, "666", 0, 0],
  ["device", "/dev/urandom", "c", 1, 9, "666", 0, 0],
  ["device", "/dev/tty", "c", 5, 0, "666", 0, 0],
  ["symlink", "/proc/self/fd", "/dev/fd"],
  ["symlink", "/proc/self/fd/0", "/dev/stdin"],
  ["symlink", "/proc/self/fd/1", "/dev/stdout"],
  ["symlink", "/proc/self/fd/2", "/dev/stderr"],
  ["symlink", "pts/ptmx", "/dev/ptmx"],
]

export const standardMasks: readonly Operation[] = [
  ...["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware"].map(
    (path): Operation => ["mask", path],
  ),
  ...["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"].map(
    (path): Operation => ["readonly", path],
  ),
]

const dockerCaps = "a80425fb"

export interface ContainerWish {
  readonly root: readonly Operation[]
  readonly argv: readonly string[]
  readonly operations?: readonly Operation[]
  readonly namespaces?: readonly string[]
  readonly mounts?: readonly Operation[]
  readonly caps?: readonly string[]
  readonly stdio?: Operation
  /** false: no hostname operation (host's UTS namespace). */
  readonly named?: boolean
}

/** A launch plan as Docker would want it, with the monitor's files in the given directory. */
export function launchPlan(directory: string, wish: ContainerWish): Operation[] {
  const caps = wish.caps ?? [dockerCaps, dockerCaps, dockerCaps, "0", "0"]
  return [
    ["launch", "test"],
    ["monitor-socket", join(directory, "monitor.sock")],
    ["exit-record", join(directory, "exit"), "nosync"],
    ["log", "none"],
    wish.stdio ?? ["stdio", "pipe", "open", "once", 0, 0],
    ["attach-expect", 1],
    ...(wish.namespaces ?? ["mount", "pid", "network", "uts", "ipc", "cgroup"]).map(
      (kind): Operation => ["namespace", kind, "new"],
    ),
    ...wish.root,
    ...(wish.mounts ?? [...standardMounts, ...standardMasks]),
    ...(wish.named === false ? [] : [["hostname", "testbox"] as Operation]),
    ["capabilities", ...caps],
    ["env", "PATH=/bin:/usr/bin"],
    ...(wish.operations ?? []),
    ["argv", ...wish.argv],
  ]
}

export interface Run {
  readonly reports: readonly Report[]
  readonly stdout: string
  readonly stderr: string
  readonly code: number
}

/** Splits Docker's multiplexed stream. */
export function demultiplex(raw: Buffer): { stdout: string; stderr: string } {
  const parts: Record<number, Buffer[]> = { 1: [], 2: [] }
  for (let at = 0; at + 8 <= raw.length; ) {
    const length = raw.readUInt32BE(at + 4)
    parts[raw[at] ?? 0]?.push(raw.subarray(at + 8, at + 8 + length))
    at += 8 + length
  }
  return {
    stdout: Buffer.concat(parts[1] ?? []).toString("utf8"),
    stderr: Buffer.concat(parts[2] ?? []).toString("utf8"),
  }
}

/** Attaches to a monitor (after its `ok`) and gives all output once it has ended. */
export async function attachOutput(
  socket: string,
  input = "",
  exec?: string,
  isOver: () => boolean = () => false,
): Promise<Buffer> {
  for (const end = Date.now() + 8000; ; ) {
    try {
      const connection = await connect(socket)
      connection.send([
        ["attach"],
        ["streams", "stdin,stdout,stderr"],
        ...(exec ? [["exec", exec] as Operation] : []),
      ])
      const answer = await connection.report()
      if (answer.kind !== "ok") throw new Error(answer.fields.join(" "))
      connection.socket.end(input)
      const raw = await connection.rest()
      connection.close()
      return raw
    } catch (error) {
      const isEarly = /ENOENT|ECONNREFUSED|no such exec/.test(String(error))
      if (isOver() || Date.now() > end || !isEarly) throw error
      await Bun.sleep(2)
    }
  }
}

/** Runs a container to its end and gives what it reported and printed. */
export async function run(
  launcher: string,
  directory: string,
  wish: ContainerWish,
  input = "",
): Promise<Run> {
  mkdirSync(directory, { recursive: true })
  const connection = await connect(launcher)
  connection.send(launchPlan(directory, wish))
  const reports = connection.reports()
  const failed = reports.then((all) =>
    all.some((report) => report.kind === "failed") ? Buffer.alloc(0) : undefined,
  )
  let isOver = false
  void reports.finally(() => {
    isOver = true
  })
  // A launch that failed has no monitor to attach to; otherwise lost output is a failure of its own.
  const output = attachOutput(join(directory, "monitor.sock"), input, undefined, () => isOver).catch(
    async (error: unknown) => {
      if ((await reports).some(({ kind }) => kind === "failed")) return Buffer.alloc(0)
      throw error
    },
  )
  const raw = (await Promise.race([failed.then((none) => none ?? output), output])) ?? Buffer.alloc(0)
  const all = await reports
  connection.close()
  const exited = all.find((report) => report.kind === "exited")
  const tty = wish.stdio?.[1] === "tty"
  const split = tty ? { stdout: raw.toString("utf8"), stderr: "" } : demultiplex(raw)
  return { reports: all, ...split, code: exited ? Number(exited.fields[0]) : -1 }
}

/** The failed report's fields by name. */
export function failureOf(result: Run): { step: string; path: string; errno: number; message: string } {
  const failed = result.reports.find((report) => report.kind === "failed")
  if (!failed) throw new Error(`the launch did not fail: ${JSON.stringify(result)}`)
  const [step = "", path = "", errno = "", message = ""] = failed.fields
  return { step, path, errno: Number(errno), message }
}

export const ownNamespace = (kind: string): string => readlinkSync(`/proc/self/ns/${kind}`)
