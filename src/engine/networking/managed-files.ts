// The files that the engine keeps for a container: /etc/hostname, /etc/hosts and /etc/resolv.conf.
import { createHash } from "node:crypto"
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  writeFileSync,
  writeSync,
} from "node:fs"
import { join } from "node:path"
import { writeFileAtomic } from "../../base/atomic-file.ts"
import type { BindMount } from "../../kernel/mount.ts"
import { updatedHosts, updatedResolvConf } from "../../network/network.ts"

interface ManagedTexts {
  readonly hostname: string
  /** undefined = what the image has. */
  readonly hosts?: string
  readonly resolvConf?: string
}

/** Beside the files: their texts as written last, so that a user's own changes are known and kept. */
const WRITTEN = "written"
/** More than any text of ours: what is longer is the user's. */
const MOST = 1 << 20

/** Of one file: the text as the engine would have it, and a change of it that may be under way. */
interface Written {
  readonly text: string
  readonly pending?: {
    readonly text: string /** Digest of the whole file with the change. */
    readonly result: string
  }
}
type Files = Readonly<Record<string, Written>>

const digest = (text: string): string => createHash("sha256").update(text).digest("base64")

const bind = (directory: string, file: string): BindMount => ({
  type: "bind",
  source: join(directory, file),
  target: `/etc/${file}`,
  flags: ["rprivate"],
  create: "file",
})

/** Writes the files into the run's directory, which is made when it is missing, and gives their mounts. */
export const writeManagedFiles = (directory: string, texts: ManagedTexts): BindMount[] => {
  const mounts: BindMount[] = []
  const written: Record<string, Written> = {}
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  for (const [file, text] of [
    ["hostname", `${texts.hostname}\n`],
    ["hosts", texts.hosts],
    ["resolv.conf", texts.resolvConf],
  ] as const) {
    if (text === undefined) continue
    writeFileSync(join(directory, file), text, { mode: 0o644 })
    if (file !== "hostname") written[file] = { text }
    mounts.push(bind(directory, file))
  }
  writeFileSync(join(directory, WRITTEN), JSON.stringify(written), { mode: 0o600 })
  return mounts
}

const readWritten = (directory: string): Files => {
  try {
    return JSON.parse(readFileSync(join(directory, WRITTEN), "utf8"))
  } catch {
    // A run that an older engine started: its files count as the user's.
    return {}
  }
}

const noteWritten = (directory: string, files: Files): void =>
  writeFileAtomic(join(directory, WRITTEN), JSON.stringify(files))

/** The whole contents; undefined for what is longer than any text of ours. */
const contents = (descriptor: number): string | undefined => {
  const { size } = fstatSync(descriptor)
  if (size > MOST) return undefined
  const bytes = Buffer.alloc(size)
  return bytes.subarray(0, readSync(descriptor, bytes, 0, size, 0)).toString("utf8")
}

/** The text that the file stands on; a change that was under way has been made when the file says so. */
const standing = ({ text, pending }: Written, current: string): string =>
  pending !== undefined && digest(current) === pending.result ? pending.text : text

/** The file with a new text of ours; undefined = it stays as it is. */
type Merge = (current: string, before: string, next: string) => string | undefined

/** In place, because the container has the file mounted. */
const rewrite = (directory: string, file: string, next: string, merge: Merge): void => {
  const descriptor = openSync(join(directory, file), "r+")
  try {
    const files = readWritten(directory)
    const known = files[file]
    const current = contents(descriptor)
    if (known === undefined || current === undefined) return
    const before = standing(known, current)
    const result = merge(current, before, next)
    if (result === undefined) return
    if (result !== current) {
      const pending = { text: next, result: digest(result) }
      noteWritten(directory, { ...files, [file]: { text: before, pending } })
      const bytes = Buffer.from(result)
      writeSync(descriptor, bytes, 0, bytes.length, 0)
      ftruncateSync(descriptor, bytes.length)
    }
    noteWritten(directory, { ...files, [file]: { text: next } })
  } finally {
    closeSync(descriptor)
  }
}

/** Brings the files of a running container up to date; what its user wrote into them stays. */
export const rewriteManagedFiles = (
  directory: string,
  texts: Pick<ManagedTexts, "hosts" | "resolvConf">,
): void => {
  if (texts.hosts !== undefined) rewrite(directory, "hosts", texts.hosts, updatedHosts)
  if (texts.resolvConf !== undefined) rewrite(directory, "resolv.conf", texts.resolvConf, updatedResolvConf)
}

/** The files of another container, whose network is shared. */
export const sharedManagedFiles = (directory: string, files: readonly string[]): BindMount[] =>
  files.map((file) => bind(directory, file))
