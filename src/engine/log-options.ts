// A log driver's options as the monitor needs them.
import { parseByteSize } from "../base/byte-size.ts"
import { failure } from "../base/errors.ts"

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

/** What the monitor is told. Throws invalid for unknown drivers, options and values. 0 bytes = no limit. */
export const parseLog = (
  driver: string,
  options: Readonly<Record<string, string>>,
): { driver: "json-file" | "none"; maxBytes: number; maxFiles: number } => {
  if (driver !== "json-file" && driver !== "none" && driver !== "local") {
    throw failure("invalid", `logger: no log driver named '${driver}' is registered`)
  }
  for (const key of Object.keys(options)) {
    if (!known.has(key)) throw failure("invalid", `unknown log opt '${key}' for ${driver} log driver`)
  }
  const size = options["max-size"]
  const maxBytes = size === undefined || size === "-1" ? 0 : parseByteSize(size, "max-size")
  const files = options["max-file"]
  if (files !== undefined && !/^[1-9]\d{0,4}$/.test(files)) {
    throw failure("invalid", `max-file cannot be less than 1: ${files}`)
  }
  return { driver: driver === "none" ? "none" : "json-file", maxBytes, maxFiles: Number(files ?? 1) }
}
