// Tells one run of the machine from the next: what was only in memory is lost between them.
import { readFileSync } from "node:fs"

/** Changes with every boot of the machine. */
export const currentBoot = (): string => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()
