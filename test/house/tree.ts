// Lists the project's own source files and what each imports.
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { dirname, join, normalize, relative } from "node:path"

export const projectRoot = join(import.meta.dirname, "..", "..")

/** Files git tracks or would track, relative to the project. */
export function projectFiles(): string[] {
  const listed = spawnSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
    cwd: projectRoot,
    encoding: "utf8",
  })
  return listed.stdout.split("\n").filter((name) => name !== "")
}

export const readProjectFile = (name: string): string => readFileSync(join(projectRoot, name), "utf8")

/** Relative imports of a file (import, import type, export from, import()), as project paths. */
export function relativeImports(name: string): string[] {
  const text = readProjectFile(name)
  const found = text.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)["'](\.{1,2}\/[^"']+)["']/g)
  return [...found].map((match) =>
    relative(projectRoot, normalize(join(projectRoot, dirname(name), match[1] ?? ""))),
  )
}
