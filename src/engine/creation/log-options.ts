// A log driver's options as the monitor needs them.
import { parseByteSize } from "../../base/byte-size.ts"
import { failure } from "../../base/errors.ts"
import { LOG_DRIVERS, parseTarget } from "../../logs/logs.ts"

const known = new Set([
  "max-size",
  "max-file",
  "labels",
  "labels-regex",
  "env",
  "env-regex",
  "tag",
  "compress",
  "mode",
  "max-buffer-size",
])

/** Where docker's own defaults would fill the disk. */
const unbounded = { "max-size": "10m", "max-file": "5" }

/** What the monitor is told. Throws invalid for unknown drivers, options and values. 0 bytes = no limit. */
export const parseLog = (
  driver: string,
  options: Readonly<Record<string, string>>,
): { driver: "json-file" | "none"; maxBytes: number; maxFiles: number } => {
  if (!LOG_DRIVERS.includes(driver)) {
    throw failure("invalid", `logger: no log driver named '${driver}' is registered`)
  }
  if (parseTarget(driver, options) !== undefined) return parseLog("json-file", unbounded)
  for (const key of Object.keys(options)) {
    if (!known.has(key)) throw failure("invalid", `unknown log opt '${key}' for ${driver} log driver`)
  }
  const size = options["max-size"] ?? unbounded["max-size"]
  const maxBytes = size === "-1" ? 0 : parseByteSize(size, "max-size")
  const files = options["max-file"] ?? (options["max-size"] === undefined ? unbounded["max-file"] : "1")
  if (!/^[1-9]\d{0,4}$/.test(files)) {
    throw failure("invalid", `max-file cannot be less than 1: ${files}`)
  }
  return { driver: driver === "none" ? "none" : "json-file", maxBytes, maxFiles: Number(files) }
}
