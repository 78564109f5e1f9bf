// Builds dist/library: the package's face as JavaScript for Node 20 and Bun, with its types.
import { spawnSync } from "node:child_process"
import { mkdirSync, renameSync, rmSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { bun, ensureDependencies, projectRoot, requireNode, stop } from "./sentences.mjs"

const run = (what, words) => {
  const { status, stdout, stderr } = spawnSync(words[0], words.slice(1), {
    cwd: projectRoot,
    encoding: "utf8",
  })
  if (status !== 0) stop(`${what} did not build:\n${stderr || stdout}`)
}

export function buildLibrary() {
  requireNode()
  ensureDependencies()
  const out = join(projectRoot, "dist", "library")
  const fresh = `${out}.new-${process.pid}`
  mkdirSync(fresh, { recursive: true })
  run("the library", [
    ...[bun, "build", "src/client/library.ts", "--target=node", "--format=esm", "--splitting"],
    ...["--outdir", fresh, "--sourcemap=none"],
  ])
  run("the library's types", [
    ...[join(projectRoot, "node_modules", ".bin", "tsc"), "--project", "tsconfig.library.json"],
    ...["--outDir", join(fresh, "types")],
  ])
  rmSync(out, { recursive: true, force: true })
  renameSync(fresh, out)
  return out
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(buildLibrary())
