// Where archives go: a file written whole or not at all, or a standard output that is not a terminal.
import { open, rename, rm, stat } from "node:fs/promises"
import { dirname } from "node:path"
import { failure } from "../base/errors.ts"
import type { Flag } from "./flags.ts"
import { counted } from "./progress.ts"
import type { Context } from "./verb.ts"

export const outputFlag: Flag = {
  name: "output",
  short: "o",
  kind: "string",
  value: "string",
  summary: "Write to a file, instead of STDOUT",
}

/**
 * Throws invalid before any work when an archive would land on a terminal or where it cannot be; `step` is what then
 * failed ("save image").
 */
export async function refuseOutput(
  context: Context,
  step: string,
  output: string | undefined,
): Promise<void> {
  if (!output && context.out.isTTY)
    throw failure("invalid", "cowardly refusing to save to a terminal. Use the -o flag or redirect")
  if (!output) return
  const refuse = (reason: string): never => {
    throw failure("invalid", `failed to ${step}: ${reason}`)
  }
  const directory = dirname(output)
  try {
    if (!(await stat(`${directory}/.`)).isDirectory())
      refuse(`invalid output path: stat ${directory}: not a directory`)
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : ""
    refuse(
      `invalid output path: stat ${directory}: ${code === "ENOTDIR" ? "not a directory" : "no such file or directory"}`,
    )
  }
  const found = await stat(output).catch(() => undefined)
  if (found?.isDirectory()) refuse("cannot write to a directory")
  if (found?.isCharacterDevice()) refuse("cannot write to a character device file")
  if (found?.isBlockDevice()) refuse("cannot write to a block device file")
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
