// What of ours is on this machine: mounts, links, tables, cgroups, processes. Tests compare before and after.
//   node scripts/leftovers.mjs
import { spawnSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync, readlinkSync, rmdirSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describeProcess } from "./processes.mjs"

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

const isDirectory = (entry) => entry.isDirectory()

/** Directories that engines made for all their containers, in every hierarchy. */
export function cgroupParents() {
  const found = []
  const walk = (directory, depth) => {
    for (const { name } of readdirSync(directory, { withFileTypes: true }).filter(isDirectory)) {
      if (/sloop/.test(name)) found.push(join(directory, name))
      else if (depth > 0) walk(join(directory, name), depth - 1)
    }
  }
  if (existsSync("/sys/fs/cgroup")) walk("/sys/fs/cgroup", 2)
  return found
}

const cgroups = () =>
  cgroupParents().flatMap((parent) =>
    readdirSync(parent, { withFileTypes: true })
      .filter(isDirectory)
      .map(({ name }) => `cgroup ${join(parent, name)}`),
  )

/**
 * Removes the empty ones of those that were not there before: an engine that was ended by force and never started again
 * cannot do it. How many those were.
 */
export function removeCgroupParents(before) {
  let removed = 0
  for (const path of cgroupParents()) {
    if (before.includes(path)) continue
    try {
      rmdirSync(path)
      removed++
    } catch {
      // Somebody is in it: then what is in it is told of.
    }
  }
  return removed
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

/** One of those lines with what explains it, where there is more to say. */
export const explained = (thing) => {
  const pid = /^process (\d+) /.exec(thing)?.[1]
  return pid === undefined ? thing : `${thing}\n${describeProcess(pid)}`
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  for (const thing of leftovers()) console.log(explained(thing))
