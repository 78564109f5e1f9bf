import { afterAll, expect, test } from "bun:test"
import { linkSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { allocatedBytes } from "./allocated.ts"

const directory = mkdtempSync(join(tmpdir(), "sloop-allocated-"))
afterAll(() => rmSync(directory, { recursive: true }))

test("blocks, not lengths; each file once; nothing for what is missing", () => {
  const [file, link] = [join(directory, "file"), join(directory, "link")]
  writeFileSync(file, "x")
  expect(allocatedBytes(file)).toBe(statSync(file).blocks * 512)
  linkSync(file, link)
  const seen = new Set<string>()
  expect(allocatedBytes(file, seen)).toBeGreaterThan(0)
  expect(allocatedBytes(link, seen)).toBe(0)
  expect(allocatedBytes(join(directory, "none"))).toBe(0)
})
