// Where archives go: a file written whole or not at all, or a standard output that is not a terminal.
import { open, rename, rm, stat } from "node:fs/promises"
import { failure } from "../base/errors.ts"
import { counted } from "./progress.ts"
import type { Context } from "./verb.ts"

/** Throws invalid before any work when an archive would land on a terminal or where it cannot be. */
export async function refuseTerminal(context: Context, output: string | undefined): Promise<void> {
  if (!output && context.out.isTTY)
    throw failure("invalid", "cowardly refusing to save to a terminal. Use the -o flag or redirect")
  if (!output) return
  const directory = output.replace(/[^/]*$/, "") || "."
  const isDirectory = async (path: string) =>
    (await stat(path).catch(() => undefined))?.isDirectory() === true
  if (!(await isDirectory(directory)))
    throw failure("invalid", `invalid output path: directory "${directory}" does not exist`)
  if (await isDirectory(output)) throw failure("invalid", `invalid output path: "${output}" is a directory`)
}

/** Copies the bytes to the file, or to standard output; a terminal is told how many. */
export async function writeOutput(
  context: Context,
  what: string,
  body: AsyncIterable<Uint8Array>,
  output: string | undefined,
): Promise<void> {
  const chunks = counted(context.err, what, body)
  if (!output) {
    for await (const chunk of chunks) await context.out.write(chunk)
    return
  }
  const special = (await stat(output).catch(() => undefined))?.isFile() === false
  const partial = special ? output : `${output}.partial-${process.pid}`
  try {
    const file = await open(partial, "w", 0o600)
    try {
      for await (const chunk of chunks) await file.writeFile(chunk)
    } finally {
      await file.close()
    }
    if (!special) await rename(partial, output)
  } catch (error) {
    if (!special) await rm(partial, { force: true })
    throw failure("internal", `writing ${output} failed: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    })
  }
}
