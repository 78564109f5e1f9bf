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
import { writeFileAtomic } from "../base/atomic-file.ts"
import type { BindMount } from "../kernel/mount.ts"

export interface ManagedTexts {
  readonly hostname: string
  /** undefined = what the image has. */
  readonly hosts?: string
  readonly resolvConf?: string
}

/** Beside the files: digests of what was written last, and before, so that a user's own changes are known. */
const WRITTEN = "written"
/** More than any text of ours: what is longer is the user's. */
const MOST = 1 << 20

type Written = Readonly<Record<string, readonly string[]>>

const digest = (text: string | Uint8Array): string => createHash("sha256").update(text).digest("base64")

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
  const written: Record<string, readonly string[]> = {}
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  for (const [file, text] of [
    ["hostname", `${texts.hostname}\n`],
    ["hosts", texts.hosts],
    ["resolv.conf", texts.resolvConf],
  ] as const) {
    if (text === undefined) continue
    writeFileSync(join(directory, file), text, { mode: 0o644 })
    if (file !== "hostname") written[file] = [digest(text)]
    mounts.push(bind(directory, file))
  }
  writeFileSync(join(directory, WRITTEN), JSON.stringify(written), { mode: 0o600 })
  return mounts
}

const readWritten = (directory: string): Written => {
  try {
    return JSON.parse(readFileSync(join(directory, WRITTEN), "utf8"))
  } catch {
    // A run that an older engine started: its files count as the user's.
    return {}
  }
}

/** The whole contents; undefined for what is longer than any text of ours. */
const contents = (descriptor: number): Buffer | undefined => {
  const { size } = fstatSync(descriptor)
  if (size > MOST) return undefined
  const bytes = Buffer.alloc(size)
  return bytes.subarray(0, readSync(descriptor, bytes, 0, size, 0))
}

/** Whether it was replaced: not when the user has changed it. In place, because the container has the file mounted. */
const rewrite = (directory: string, file: string, text: string): boolean => {
  const descriptor = openSync(join(directory, file), "r+")
  try {
    const present = contents(descriptor)
    if (present === undefined) return false
    const written = readWritten(directory)
    const known = written[file] ?? []
    if (!known.includes(digest(present))) return false
    if (present.toString("utf8") === text) return true
    // Both are ours until the file is written: a crash between leaves either.
    const next = { ...written, [file]: [digest(present), digest(text)] }
    writeFileAtomic(join(directory, WRITTEN), JSON.stringify(next))
    const bytes = Buffer.from(text)
    writeSync(descriptor, bytes, 0, bytes.length, 0)
    ftruncateSync(descriptor, bytes.length)
    return true
  } finally {
    closeSync(descriptor)
  }
}

/** Brings the files of a running container up to date, except those that its user has changed; gives the names of these. */
export const rewriteManagedFiles = (
  directory: string,
  texts: Pick<ManagedTexts, "hosts" | "resolvConf">,
): string[] =>
  (
    [
      ["hosts", texts.hosts],
      ["resolv.conf", texts.resolvConf],
    ] as const
  ).flatMap(([file, text]) => (text === undefined || rewrite(directory, file, text) ? [] : [file]))

/** The files of another container, whose network is shared. */
export const sharedManagedFiles = (directory: string, files: readonly string[]): BindMount[] =>
  files.map((file) => bind(directory, file))
