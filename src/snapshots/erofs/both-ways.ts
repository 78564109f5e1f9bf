// For tests: one tar as a layer twice, unpacked by the launcher and as an EROFS image, and all that can be seen of each.
import { spawn, spawnSync } from "node:child_process"
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from "node:fs"
import { join } from "node:path"
import { compile } from "../../../test/fixtures/c-program.ts"
import { errorMessage } from "../../base/errors.ts"
import type { Kernel } from "../../kernel/kernel.ts"
import { writeLayer } from "./write-layer.ts"

const path = (directory: string, name: string) =>
  Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(name, "latin1")])

/** Later than all times in tests' archives: "when it was made". */
const recent = 1_700_000_000_000_000_000n

/** One line for each file: everything that lstat tells but inode numbers, link targets, contents, groups of hard links. */
export const describeFiles = (directory: string): string[] => {
  const lines: string[] = []
  const groups = new Map<bigint, string>()
  const describe = (name: string): boolean => {
    const file = path(directory, name)
    const stat = lstatSync(file, { bigint: true })
    const whiteout = stat.isCharacterDevice() && stat.rdev === 0n
    const first = groups.get(stat.ino) ?? name
    groups.set(stat.ino, first)
    const content = stat.isFile() ? `${stat.size} ${Bun.hash(readFileSync(file)).toString(16)}` : ""
    const target = stat.isSymbolicLink() ? readlinkSync(file, { encoding: "buffer" }).toString("latin1") : ""
    const facts = whiteout
      ? ["whiteout", stat.nlink]
      : [stat.mode.toString(8), stat.uid, stat.gid, stat.mtimeNs > recent ? "now" : stat.mtimeNs, stat.nlink]
    lines.push([name, ...facts, stat.rdev, first === name ? "" : first, content, target].join(" "))
    return stat.isDirectory()
  }
  const walk = (name: string): void => {
    if (!describe(name)) return
    for (const raw of readdirSync(path(directory, name), { encoding: "buffer" }).sort(Buffer.compare))
      walk(name === "" ? raw.toString("latin1") : `${name}/${raw.toString("latin1")}`)
  }
  walk("")
  return lines
}

/** All extended attributes beneath a directory, names and values in hex. */
export const describeAttributes = (directory: string): string[] => {
  const shown = spawnSync(
    "getfattr",
    ["-R", "-P", "-h", "-d", "-m", "-", "-e", "hex", "--absolute-names", "."],
    {
      cwd: directory,
      maxBuffer: 1 << 28,
    },
  )
  const blocks = shown.stdout.toString("latin1").split("\n\n")
  return blocks
    .map((block) => block.trim().split("\n"))
    .filter(([first = ""]) => first !== "")
    .map(([file, ...rest]) => [file, ...rest.toSorted()].join("\n"))
    .toSorted()
}

export interface Looked {
  /** What was refused, else undefined. */
  readonly refused?: string
  readonly files: string[]
  readonly attributes: string[]
}

async function* once(bytes: Uint8Array, portion: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += portion) yield bytes.subarray(at, at + portion)
}

/** The helper's directory, in the tests' own; compiled once. */
const programs = (parent: string): string => {
  const directory = join(parent, "programs")
  return existsSync(directory) ? directory : compile(directory, join(import.meta.dirname, "keep-mounted.c"))
}

/** Runs `work` with the image mounted in a mount namespace that ends with it. */
const mounted = async <T>(
  parent: string,
  layer: string,
  place: string,
  work: (root: string) => T,
): Promise<T> => {
  mkdirSync(place, { recursive: true })
  const keeper = spawn(join(programs(parent), "keep-mounted"), [layer, place], {
    stdio: ["pipe", "pipe", "inherit"],
  })
  const ended = new Promise<void>((resolve) => keeper.once("exit", () => resolve()))
  try {
    await new Promise<void>((resolve, reject) => {
      keeper.stdout.once("data", () => resolve())
      keeper.once("exit", () => reject(new Error(`the image in ${layer} cannot be mounted`)))
    })
    return work(`/proc/${keeper.pid}/root${place}`)
  } finally {
    keeper.stdin.end()
    await ended
  }
}

/** `parent` is a directory on a disk's file system that the caller removes. */
export const bothWays = async (
  kernel: Kernel,
  parent: string,
  tar: Uint8Array,
  portion = 1 << 20,
): Promise<{ unpacked: Looked; image: Looked }> => {
  const root = mkdtempSync(join(parent, "both-"))
  const [files, layer, place] = [join(root, "fs"), join(root, "layer"), join(root, "at")]
  try {
    for (const directory of [files, layer]) mkdirSync(directory, { mode: 0o755 })
    const look = (directory: string) => ({
      files: describeFiles(directory),
      attributes: describeAttributes(directory),
    })
    const refused = (error: unknown) => ({ refused: errorMessage(error), files: [], attributes: [] })
    const unpacked = await kernel
      .send(
        [["unpack"], ["root-path", files], ["at", "/"], ["option", "whiteouts", "overlay"]],
        once(tar, portion),
      )
      .then(() => look(files), refused)
    const image = await writeLayer(layer, once(tar, portion), {
      top: async () => ({ mode: 0o755, uid: 0, gid: 0 }),
    }).then(() => mounted(parent, layer, place, look), refused)
    return { unpacked, image }
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}
