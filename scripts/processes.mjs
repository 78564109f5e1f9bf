// Tells of a process what explains why it is still there: command line, parent, what it waits for, what it holds open.
import { readdirSync, readFileSync, readlinkSync } from "node:fs"

const attempt = (read, otherwise) => {
  try {
    return read()
  } catch {
    return otherwise
  }
}

const text = (path) => attempt(() => readFileSync(path, "utf8"), "")
const commandLine = (pid) => text(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim()
const field = (status, name) => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1] ?? "?"

/** Descriptors with what they lead to; a socket with its path or its peer's inode number is told as the kernel lists it. */
function descriptors(pid) {
  const sockets = new Map(
    text(`/proc/${pid}/net/unix`)
      .split("\n")
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .map((words) => [words[6], `${words[5] === "01" ? "listening " : ""}${words[7] ?? "unnamed"}`]),
  )
  return attempt(() => readdirSync(`/proc/${pid}/fd`), []).map((fd) => {
    const target = attempt(() => readlinkSync(`/proc/${pid}/fd/${fd}`), "?")
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1]
    return `${fd} → ${target}${inode === undefined ? "" : ` (${sockets.get(inode) ?? "no unix socket"})`}`
  })
}

/** Several lines on a process; one that says so when it has ended meanwhile. */
export function describeProcess(pid) {
  const status = text(`/proc/${pid}/status`)
  if (status === "") return `  (process ${pid} has ended meanwhile)`
  const parent = field(status, "PPid")
  const stack = text(`/proc/${pid}/stack`).split("\n").filter(Boolean)
  return [
    `  command ${commandLine(pid) || "(none)"}`,
    `  state ${field(status, "State")}, name ${field(status, "Name")}, parent ${parent} ${commandLine(parent)}`,
    `  waits in ${text(`/proc/${pid}/wchan`) || "?"} ${stack.map((line) => line.split(" ").at(-1)).join(" < ")}`,
    `  started ${attempt(() => text(`/proc/${pid}/stat`).split(") ")[1].split(" ")[19], "?")} ticks after boot`,
    ...descriptors(pid).map((line) => `  open ${line}`),
  ].join("\n")
}
