// Archives that come from a file or standard input.
import { createReadStream, statSync } from "node:fs"
import { failure } from "../base/errors.ts"
import { readStandardInput } from "./input.ts"
import { counted } from "./progress.ts"
import type { Context } from "./verb.ts"

/** Opens the file (undefined or "-": standard input). Throws Failure with the system's words when it cannot be read. */
export function openInput(
  context: Context,
  what: string,
  path: string | undefined,
  options: { quiet?: boolean } = {},
): AsyncIterable<Uint8Array> {
  if (path === undefined || path === "-") return counted(context.err, what, readStandardInput(), options)
  try {
    const stat = statSync(path)
    if (stat.isDirectory()) throw failure("invalid", `read ${path}: is a directory`)
    const chunks = createReadStream(path, { highWaterMark: 1 << 20 })
    return counted(context.err, what, chunks, { ...options, total: stat.isFile() ? stat.size : undefined })
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT")
      throw failure("not-found", `open ${path}: no such file or directory`, { cause: error })
    throw error
  }
}
