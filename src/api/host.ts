// Facts about the host that info shows; the fixed ones are read once.
import { readdirSync, readFileSync, statfsSync } from "node:fs"

export interface HostDescription {
  readonly operatingSystem: string
  readonly osVersion: string
  /** Name of the file system that a path lies on, "" if unknown. */
  fileSystemOf(path: string): string
  /** Open file descriptors of this process. */
  openDescriptors(): number
}

const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  61267: "extfs",
  1481003842: "xfs",
  2435016766: "btrfs",
  16914836: "tmpfs",
  2035054128: "overlayfs",
  801189825: "zfs",
  4076150800: "f2fs",
}

let known: HostDescription | undefined

export function hostDescription(): HostDescription {
  known ??= { ...osRelease(), fileSystemOf, openDescriptors }
  return known
}

function fileSystemOf(path: string): string {
  try {
    return FILE_SYSTEMS[statfsSync(path).type] ?? ""
  } catch {
    return ""
  }
}

const openDescriptors = (): number => readdirSync("/proc/self/fd").length

function osRelease(): { operatingSystem: string; osVersion: string } {
  try {
    const text = readFileSync("/etc/os-release", "utf8")
    const value = (key: string) => new RegExp(`^${key}="?([^"\n]*)"?$`, "m").exec(text)?.[1]
    return { operatingSystem: value("PRETTY_NAME") ?? "Linux", osVersion: value("VERSION_ID") ?? "" }
  } catch {
    return { operatingSystem: "Linux", osVersion: "" }
  }
}
