// Where archives go: a file written whole or not at all, or a standard output that is not a terminal.
import { createWriteStream, renameSync, rmSync } from "node:fs"
import type { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { failure } from "../base/errors.ts"
import type { Context } from "./verb.ts"

/** Throws invalid before any work when an archive would land on a terminal. */
export function refuseTerminal(context: Context, output: string | undefined): void {
  if (output === undefined && context.out.isTTY)
    throw failure("invalid", "cowardly refusing to save to a terminal: use the -o flag or redirect")
}

/** Copies the bytes to the file, or to standard output. */
export async function writeOutput(
  context: Context,
  body: Readable,
  output: string | undefined,
): Promise<void> {
  if (output === undefined) {
    await pipeline(body, context.out, { end: false })
    return
  }
  const partial = `${output}.partial-${process.pid}`
  try {
    await pipeline(body, createWriteStream(partial, { mode: 0o600 }))
    renameSync(partial, output)
  } catch (error) {
    rmSync(partial, { force: true })
    throw failure("internal", `writing ${output} failed: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    })
  }
}
