// What of ours is on this machine: mounts, links, tables, cgroups, processes. Tests compare before and after.
//   node scripts/leftovers.mjs
import { spawnSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const lines = (path) => (existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean) : [])

const mounts = () =>
  lines("/proc/self/mountinfo")
    .map((line) => line.split(" ")[4])
    .filter((path) => /sloop/.test(path))
    .map((path) => `mount ${path}`)

const links = () =>
  readdirSync("/sys/class/net")
    .filter((name) => /^(sloop|sl[0-9a-f]{4,}|vethsl)/.test(name))
    .map((name) => `link ${name}`)

const tables = () =>
  (spawnSync("nft", ["list", "tables"], { encoding: "utf8" }).stdout ?? "")
    .split("\n")
    .filter((line) => /sloop/.test(line))

function cgroups() {
  const found = []
  const walk = (directory, depth) => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (!entry.isDirectory()) continue
      if (/sloop/.test(entry.name)) {
        for (const inner of readdirSync(join(directory, entry.name), { withFileTypes: true }))
          if (inner.isDirectory()) found.push(`cgroup ${join(directory, entry.name, inner.name)}`)
      } else if (depth > 0) walk(join(directory, entry.name), depth - 1)
    }
  }
  if (existsSync("/sys/fs/cgroup")) walk("/sys/fs/cgroup", 2)
  return found
}

function processes() {
  const found = []
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const name = readFileSync(`/proc/${pid}/comm`, "utf8").trim()
      const executable = readlinkSync(`/proc/${pid}/exe`)
      if (/^sloop/.test(name) || /\/sloop( \(deleted\))?$|launcher/.test(executable))
        found.push(`process ${pid} ${name}`)
    } catch {
      // It ended while we looked, or it is a kernel thread.
    }
  }
  return found
}

/** One line for each thing of ours that exists now. */
export const leftovers = () => [...mounts(), ...links(), ...tables(), ...cgroups(), ...processes()]

if (process.argv[1] === fileURLToPath(import.meta.url)) for (const thing of leftovers()) console.log(thing)
