// The processes of a container as ps shows them: the host's ps when there is one, else a reader of /proc.

import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { failure } from "../../base/errors.ts"
import { announce } from "../announce.ts"
import type { Context } from "../context.ts"

export interface Processes {
  readonly titles: string[]
  readonly processes: string[][]
}

/** Arguments of the host's ps in an own list: words are split at blanks, nothing is expanded by a shell. */
const runPs = (words: readonly string[]): Promise<string | undefined> =>
  new Promise((resolve, reject) => {
    execFile(
      "ps",
      words,
      { maxBuffer: 64 << 20, env: { PATH: process.env.PATH, LC_ALL: "C" } },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout)
        else if (error.code === "ENOENT") resolve(undefined)
        else reject(failure("invalid", `ps: ${stderr.trim().split("\n", 1)[0] || error.message}`))
      },
    )
  })

/** The rows of ps output whose PID is asked for. Throws invalid when there is no PID column. */
export const parsePs = (output: string, pids: ReadonlySet<number>): Processes => {
  const lines = output.split("\n").filter((line) => line.trim() !== "")
  const titles = (lines[0] ?? "").trim().split(/\s+/)
  const column = titles.indexOf("PID")
  if (column < 0) throw failure("invalid", "Couldn't find PID field in ps output")
  const processes: string[][] = []
  for (const line of lines.slice(1)) {
    const fields = line.trim().split(/\s+/)
    if (!pids.has(Number(fields[column]))) continue
    // The last column is the command with its blanks.
    processes.push([...fields.slice(0, titles.length - 1), fields.slice(titles.length - 1).join(" ")])
  }
  return { titles, processes }
}

const userNames = (): Map<string, string> => {
  const names = new Map<string, string>()
  for (const line of readFileSync("/etc/passwd", "utf8").split("\n")) {
    const [name, , uid] = line.split(":")
    if (name !== undefined && uid !== undefined && !names.has(uid)) names.set(uid, name)
  }
  return names
}

const clockTicks = 100

/** "UID PID PPID C STIME TTY TIME CMD" of the pids, from /proc. Those that ended meanwhile are left out. */
export const readProcesses = (pids: readonly number[]): Processes => {
  const names = userNames()
  const uptime = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0])
  const processes: string[][] = []
  for (const pid of pids) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
      const uid = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? ""
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim()
      const name = stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"))
      const seconds = Math.floor((Number(fields[11]) + Number(fields[12])) / clockTicks)
      const age = uptime - Number(fields[19]) / clockTicks
      const started = new Date(Date.now() - age * 1000)
      const two = (value: number): string => String(value).padStart(2, "0")
      const terminal = Number(fields[4])
      processes.push([
        names.get(uid) ?? uid,
        String(pid),
        fields[1] ?? "",
        String(age > 0 ? Math.floor((seconds * 100) / age) : 0),
        `${two(started.getHours())}:${two(started.getMinutes())}`,
        terminal === 0 ? "?" : `pts/${terminal & 0xff}`,
        `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`,
        command || `[${name}]`,
      ])
    } catch {
      // It has ended.
    }
  }
  return { titles: ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"], processes }
}

/** The top verb. `psArguments` as typed; "" = "-ef". */
export const topOf = async (context: Context, reference: string, psArguments: string): Promise<Processes> => {
  const record = context.catalogue.get(reference)
  const task = context.live.find(record.id)?.task
  if (task === undefined) throw failure("conflict", `container ${record.id} is not running`)
  if (record.status === "restarting") {
    throw failure("conflict", `Container ${record.id} is restarting, wait until the container is running`)
  }
  announce(context, record, "top")
  const pids = await task.pids()
  const words = psArguments.split(/\s+/).filter((word) => word !== "")
  if (words.length === 0 || (words.length === 1 && words[0] === "-ef")) {
    const output = await runPs(["-ef"])
    return output === undefined ? readProcesses(pids) : parsePs(output, new Set(pids))
  }
  const output = await runPs(words)
  if (output === undefined)
    throw failure("not-implemented", "this machine has no ps: only the default columns can be shown")
  return parsePs(output, new Set(pids))
}
