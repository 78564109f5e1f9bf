// Files that are replaced whole.
import { afterAll, expect, test } from "bun:test"
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { writeFileAtomic } from "./atomic-file.ts"

const directory = mkdtempSync(join(tmpdir(), "atomic-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

test("replaces contents and mode and leaves nothing beside", () => {
  const path = join(directory, "f")
  writeFileAtomic(path, "one")
  writeFileAtomic(path, new Uint8Array([116, 119, 111]), { mode: 0o644, durable: true })
  expect(readFileSync(path, "utf8")).toBe("two")
  expect(statSync(path).mode & 0o777).toBe(0o644)
  expect(readdirSync(directory)).toEqual(["f"])
})

test("a target that cannot be replaced leaves nothing beside", () => {
  expect(() => writeFileAtomic(join(directory, "missing", "f"), "x")).toThrow()
  expect(readdirSync(directory)).toEqual(["f"])
})
