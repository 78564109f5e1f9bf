// BuildKit's face costs nothing until a client knocks: what the daemon imports at its start does not lead to it.
import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"

const source = join(import.meta.dirname, "..", "..", "src")

/** Files that importing `entry` loads at once: type imports and `import()` are not followed. */
function loadedBy(entry: string): Set<string> {
  const found = new Set<string>()
  const open = [join(source, entry)]
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (found.has(path)) continue
    found.add(path)
    const text = readFileSync(path, "utf8")
    for (const [, names = "", target = ""] of text.matchAll(
      /^(?:import|export)\s+([^"';]*?)\s*from\s+"(\.[^"]+)"/gm,
    )) {
      const onlyTypes = /^type\b/.test(names) || /^\{\s*(type\s+\w+\s*,?\s*)+\}$/.test(names)
      if (!onlyTypes) open.push(join(dirname(path), target))
    }
  }
  return new Set([...found].map((path) => relative(source, path)))
}

test("an idle daemon loads nothing of it", () => {
  const loaded = loadedBy("daemon/daemon.ts")
  expect(loaded).toContain("api/routes/buildkit.ts")
  expect([...loaded].filter((path) => /^(api|wire)\/buildkit\//.test(path))).toEqual([])
  expect(
    [...loaded].filter((path) => readFileSync(join(source, path), "utf8").includes('from "node:http2"')),
  ).toEqual([])
})
