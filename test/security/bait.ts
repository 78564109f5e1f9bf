// What attacks are led to: a directory of the host that must stay as it was.
import { expect } from "bun:test"
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/** Makes `work`/bait with one file; `untouched` fails when anything there was changed. */
export function layBait(work: string, name: string, text: string): { bait: string; untouched: () => void } {
  const bait = join(work, "bait")
  mkdirSync(bait)
  const path = join(bait, name)
  writeFileSync(path, text, { mode: 0o600 })
  const untouched = () => {
    expect(readdirSync(bait)).toEqual([name])
    expect(readFileSync(path, "utf8")).toBe(text)
    const { mode, nlink } = statSync(path)
    expect([mode & 0o7777, nlink]).toEqual([0o600, 1])
  }
  return { bait, untouched }
}
