// What a command loads before it acts: none of Node's modules, unless its own work needs them.
import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { dirname, join } from "node:path"

const transpiler = new Bun.Transpiler({ loader: "ts" })

/** Every module that loading `file` loads too, own files by their paths; what is imported later is not among them. */
function loadedWith(file: string, found = new Set<string>()): Set<string> {
  if (found.has(file)) return found
  found.add(file)
  for (const { path, kind } of transpiler.scanImports(readFileSync(file, "utf8")))
    if (kind === "import-statement") {
      if (path.startsWith(".")) loadedWith(join(dirname(file), path), found)
      else found.add(path)
    }
  return found
}

test.each([
  "../main.ts",
  "cli.ts",
  "verbs/container/run.ts",
  "verbs/container/create.ts",
  "verbs/container/exec.ts",
  "verbs/container/ls.ts",
  "verbs/container/start.ts",
  "verbs/container/stop.ts",
  "verbs/container/rm.ts",
  "verbs/container/logs.ts",
  "verbs/image/ls.ts",
  "verbs/system/version.ts",
])("%s loads none of Node's modules", (file) => {
  const loaded = loadedWith(join(import.meta.dir, file))
  expect(loaded.size).toBeGreaterThan(1)
  expect([...loaded].filter((name) => !name.startsWith("/"))).toEqual([])
})
