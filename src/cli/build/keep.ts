// Outputs of a build as files of whoever runs the command: an archive, or a directory of files.
import { mkdirSync } from "node:fs"
import { dirname } from "node:path"
import { failure } from "../../base/errors.ts"
import { unpackTar } from "../container/tar.ts"
import { writeOutput } from "../output-file.ts"
import type { Context } from "../verb.ts"

/** Files into a directory that is made where it is not; what lies there already stays unless it has the same name. */
export async function keepTree(tar: AsyncIterable<Uint8Array>, directory: string): Promise<void> {
  mkdirSync(directory, { recursive: true })
  await unpackTar(["-C", directory, "--delay-directory-restore"], tar)
}

/** A file written whole or not at all; "-" is standard output, unless that is a terminal. */
export async function keepFile(
  context: Context,
  bytes: AsyncIterable<Uint8Array>,
  destination: string,
): Promise<void> {
  if (destination === "-") {
    if (context.out.isTTY)
      throw failure("invalid", "dest file is required for this output: refusing to write to a terminal")
    return writeOutput(context, "Writing", bytes, undefined)
  }
  mkdirSync(dirname(destination), { recursive: true })
  return writeOutput(context, "Writing", bytes, destination)
}
