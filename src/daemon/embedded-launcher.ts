// Gets the launcher out of this program (or, in development, out of dist/) into a file that can be executed.
import { createHash } from "node:crypto"
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { writeFileAtomic } from "../base/atomic-file.ts"
import { failure } from "../base/errors.ts"

const PREFIX = "launcher-"

/**
 * Path of an executable launcher in `directory`, named by its own hash, mode 0700. It lies in the data root because
 * /run is mounted noexec on many machines. Throws unavailable when there is none to extract.
 */
export async function extractLauncher(directory: string): Promise<string> {
  const bytes = await embeddedBytes()
  const name = `${PREFIX}${createHash("sha256").update(bytes).digest("hex").slice(0, 16)}`
  const path = join(directory, name)
  if (!isSame(path, bytes)) writeFileAtomic(path, bytes, { mode: 0o700 })
  for (const other of readdirSync(directory)) {
    if (other.startsWith(PREFIX) && other !== name) rmSync(join(directory, other), { force: true })
  }
  return path
}

async function embeddedBytes(): Promise<Buffer> {
  try {
    // Embedded files are readable by readFileSync only: copying and streaming them fails.
    const embedded = await import("../../dist/launcher", { with: { type: "file" } })
    return readFileSync(embedded.default)
  } catch (cause) {
    throw failure(
      "unavailable",
      "dist/launcher is missing: build it with node scripts/launcher.mjs, or name one with --launcher",
      { cause },
    )
  }
}

/** A file that was cut short or changed is written anew. */
const isSame = (path: string, bytes: Buffer): boolean => existsSync(path) && readFileSync(path).equals(bytes)
