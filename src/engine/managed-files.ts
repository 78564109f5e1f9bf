// The files that the engine keeps for a container: /etc/hostname, /etc/hosts and /etc/resolv.conf.
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { BindMount } from "../kernel/mount.ts"

export interface ManagedTexts {
  readonly hostname: string
  /** undefined = what the image has. */
  readonly hosts?: string
  readonly resolvConf?: string
}

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
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  for (const [file, text] of [
    ["hostname", `${texts.hostname}\n`],
    ["hosts", texts.hosts],
    ["resolv.conf", texts.resolvConf],
  ] as const) {
    if (text === undefined) continue
    writeFileSync(join(directory, file), text, { mode: 0o644 })
    mounts.push(bind(directory, file))
  }
  return mounts
}

/** The files of another container, whose network is shared. */
export const sharedManagedFiles = (directory: string, files: readonly string[]): BindMount[] =>
  files.map((file) => bind(directory, file))
