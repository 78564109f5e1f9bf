// What every container's root needs to be mounted over, and the few files that programs look for. The same as Docker's.
import type { Operation } from "../../kernel/kernel.ts"

const directories = ["/dev", "/dev/pts", "/dev/shm", "/proc", "/sys", "/etc"]
const files = ["/.dockerenv", "/dev/console", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf"]

/** Operations of the launcher's `furnish`; parents first. */
export const furniture: readonly Operation[] = [
  ...directories.map((path): Operation => ["directory", path, "755", "0", "0"]),
  ...files.map((path): Operation => ["file", path]),
  ["symlink", "/proc/mounts", "/etc/mtab"],
]
