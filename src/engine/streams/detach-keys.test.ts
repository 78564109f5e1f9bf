// Key names and the scanner that finds their sequence.
import { expect, test } from "bun:test"
import fc from "fast-check"
import { DetachScanner, parseDetachKeys } from "./detach-keys.ts"

test("key names", () => {
  expect(parseDetachKeys(undefined)).toEqual([16, 17])
  expect(parseDetachKeys("")).toEqual([])
  expect(parseDetachKeys("ctrl-a,x,ctrl-[,ctrl-@,DEL")).toEqual([1, 120, 27, 0, 127])
  for (const bad of ["ctrl-", "ctrl-1", "abc", "a,,b", "ctrl-p,"]) {
    expect(() => parseDetachKeys(bad)).toThrow(`Invalid escape keys (${bad}) provided`)
  }
})

const feedAll = (scanner: DetachScanner, chunks: readonly Uint8Array[]) => {
  const out: number[] = []
  for (const chunk of chunks) {
    const { forward, detached } = scanner.feed(chunk)
    out.push(...forward)
    if (detached) return { out, detached }
  }
  return { out, detached: false }
}

test("the sequence detaches, over chunks too, and what precedes it is handed on", () => {
  expect(feedAll(new DetachScanner([16, 17]), [Uint8Array.of(97, 16, 17, 98)])).toEqual({
    out: [97],
    detached: true,
  })
  expect(feedAll(new DetachScanner([16, 17]), [Uint8Array.of(97, 16), Uint8Array.of(17)])).toEqual({
    out: [97],
    detached: true,
  })
})

test("a sequence that breaks off loses nothing", () => {
  expect(feedAll(new DetachScanner([16, 17]), [Uint8Array.of(16), Uint8Array.of(16, 98)])).toEqual({
    out: [16, 16, 98],
    detached: false,
  })
})

test("without the complete sequence every byte comes through but a last partial one", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ max: 20 })), (chunks) => {
      const bytes = chunks.flatMap((chunk) => [...chunk]).map((byte) => byte % 19)
      const has = bytes.some((byte, index) => byte === 16 && bytes[index + 1] === 17)
      const mapped = chunks.map((chunk) => chunk.map((byte) => byte % 19))
      const { out, detached } = feedAll(new DetachScanner([16, 17]), mapped)
      expect(detached).toBe(has)
      if (!has) expect(out).toEqual(bytes.at(-1) === 16 ? bytes.slice(0, -1) : bytes)
    }),
  )
})
