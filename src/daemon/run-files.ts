// The files of a run (sockets, hosts, …) belong in memory. Where the run root lies on a disk, RUN_ROOT/c (containers) and
// RUN_ROOT/b (steps of builds) lead to /dev/shm: on a disk their making and removal would take a good part of a start.
import { createHash } from "node:crypto"
import {
  lstatSync,
  mkdirSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  statfsSync,
  symlinkSync,
  unlinkSync,
} from "node:fs"
import { join } from "node:path"

const memory = "/dev/shm"
const memoryMagics = [0x01021994, 0x858458f6]

const isInMemory = (path: string): boolean => memoryMagics.includes(statfsSync(path).type)

/** Anyone may write to /dev/shm: what is there counts only when it is a directory of ours that nobody else may enter. */
const isOurs = (path: string): boolean => {
  const status = lstatSync(path)
  return status.isDirectory() && status.uid === process.getuid?.() && (status.mode & 0o077) === 0
}

const makeOurs = (path: string): boolean => {
  try {
    mkdirSync(path, { mode: 0o700 })
    return true
  } catch {
    return isOurs(path)
  }
}

const targetOf = (link: string): string | undefined => {
  try {
    return readlinkSync(link)
  } catch {
    return undefined
  }
}

const places = (runRoot: string) => {
  const target = join(memory, `sloop-run-${createHash("sha256").update(runRoot).digest("hex").slice(0, 12)}`)
  return [
    { link: join(runRoot, "c"), target },
    { link: join(runRoot, "b"), target: `${target}-b` },
  ]
}

/** Makes both lead to memory. Where that cannot be, they stay plain directories, which is slower and no less right. */
export function keepRunFilesInMemory(runRoot: string): void {
  for (const place of places(runRoot)) keepInMemory(runRoot, place)
}

function keepInMemory(runRoot: string, { link, target }: { link: string; target: string }): void {
  try {
    if (isInMemory(runRoot) || !isInMemory(memory) || !makeOurs(target)) return
    if (targetOf(link) === target) return
    // One from before, if nothing is in it.
    if (lstatSync(link, { throwIfNoEntry: false }) !== undefined) rmdirSync(link)
    symlinkSync(target, link)
  } catch {
    // See above.
  }
}

/** Takes the links and their targets away again, with what a removal without descriptors left. Only when no container runs. */
export function releaseRunFiles(runRoot: string): void {
  for (const { link, target } of places(runRoot)) {
    if (targetOf(link) !== target) continue
    try {
      rmSync(target, { recursive: true, force: true })
      unlinkSync(link)
    } catch {
      // The next daemon of this run root takes it over.
    }
  }
}
