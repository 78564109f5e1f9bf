// Reading, tailing and following logs across rotations.
import { afterAll, expect, test } from "bun:test"
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseTime } from "./json-file.ts"
import { createLogs, type LogEntry, type LogQuery } from "./logs.ts"

const directory = mkdtempSync(join(tmpdir(), "logs-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

let count = 0
const freshPath = (): string => {
  const own = join(directory, `${count++}`)
  mkdirSync(own)
  return join(own, "x-json.log")
}
const time = (second: number): string => new Date(second * 1000).toISOString().replace("000Z", "123456789Z")
const line = (text: string, second = 1, stream = "stdout"): string =>
  `${JSON.stringify({ log: `${text}\n`, stream, time: time(second) })}\n`
const all: LogQuery = { stdout: true, stderr: true, follow: false }
const texts = (entries: readonly LogEntry[]): string =>
  entries.map((entry) => Buffer.from(entry.line).toString().trimEnd()).join(" ")
const collect = async (path: string, query: Partial<LogQuery> = {}): Promise<LogEntry[]> => {
  const entries: LogEntry[] = []
  for await (const together of createLogs().read(path, { ...all, ...query })) entries.push(...together)
  return entries
}

test("times keep their nanoseconds", () => {
  expect(parseTime("1970-01-01T00:00:01.000000001Z")).toBe(1_000_000_001n)
  expect(parseTime("1970-01-01T01:00:00+01:00")).toBe(0n)
  expect(parseTime("yesterday")).toBeUndefined()
})

test("rotated files are read from oldest to newest, damaged and torn lines are passed over", async () => {
  const path = freshPath()
  writeFileSync(`${path}.2`, line("a"))
  writeFileSync(`${path}.1`, `${line("b")}garbage\n`)
  writeFileSync(path, `${line("c")}{"log":"torn`)
  expect(texts(await collect(path))).toBe("a b c")
})

test("a rotation half done hides nothing", async () => {
  // PATH.n … PATH.1 and PATH are renamed one after the other: each number is free for a moment.
  for (const names of [
    [".3", ".2", ""],
    [".3", ".1", ""],
    [".3", ".2", ".1"],
  ]) {
    const path = freshPath()
    for (const [index, name] of names.entries()) writeFileSync(`${path}${name}`, line("abc"[index] ?? ""))
    expect(texts(await collect(path))).toBe("a b c")
  }
})

test("tail counts lines from the end across files", async () => {
  const path = freshPath()
  writeFileSync(`${path}.1`, line("a") + line("b"))
  writeFileSync(path, line("c") + line("d"))
  for (const [tail, expected] of [
    [0, ""],
    [1, "d"],
    [2, "c d"],
    [3, "b c d"],
    [4, "a b c d"],
    [9, "a b c d"],
  ] as const) {
    expect(texts(await collect(path, { tail }))).toBe(expected)
  }
  const long = freshPath()
  writeFileSync(long, Array.from({ length: 5000 }, (_, index) => line(`line-${index}`)).join(""))
  expect((await collect(long, { tail: 1234 })).map((entry) => texts([entry]))).toEqual(
    Array.from({ length: 1234 }, (_, index) => `line-${index + 5000 - 1234}`),
  )
})

test("streams, since and until select", async () => {
  const path = freshPath()
  writeFileSync(path, line("a", 1) + line("b", 2, "stderr") + line("c", 3) + line("d", 4))
  expect(texts(await collect(path, { stderr: false }))).toBe("a c d")
  expect(texts(await collect(path, { since: 2_123_456_789n, until: 3_123_456_789n }))).toBe("b c")
})

test("a missing log is empty", async () => {
  expect(await collect(freshPath())).toEqual([])
})

test("following sees appended lines, torn writes once whole, and ends after the last one", async () => {
  const path = freshPath()
  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  const collected = collect(path, { follow: true, ended })
  await Bun.sleep(20)
  writeFileSync(path, line("a"))
  await Bun.sleep(20)
  const whole = line("b")
  appendFileSync(path, whole.slice(0, 10))
  await Bun.sleep(20)
  appendFileSync(path, whole.slice(10))
  appendFileSync(path, line("c"))
  end()
  expect(texts(await collected)).toBe("a b c")
})

test("following loses nothing over many rotations", async () => {
  const path = freshPath()
  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  writeFileSync(path, line("0"))
  const collected = collect(path, { follow: true, ended })
  const expected = ["0"]
  for (let index = 1; index < 60; index++) {
    appendFileSync(path, line(`${index}`))
    expected.push(`${index}`)
    if (index % 7 === 0) {
      for (let file = 9; file >= 1; file--) {
        try {
          renameSync(`${path}.${file}`, `${path}.${file + 1}`)
        } catch {
          // Not that many yet.
        }
      }
      renameSync(path, `${path}.1`)
      writeFileSync(path, "")
    }
    if (index % 3 === 0) await Bun.sleep(1)
  }
  end()
  expect(texts(await collected)).toBe(expected.join(" "))
})

test("an abort ends a follower", async () => {
  const path = freshPath()
  writeFileSync(path, line("a"))
  const controller = new AbortController()
  const collected = collect(path, { follow: true, signal: controller.signal })
  await Bun.sleep(10)
  controller.abort()
  expect(texts(await collected)).toBe("a")
})

test("until in the future ends a follower by itself", async () => {
  const path = freshPath()
  writeFileSync(path, line("a"))
  const until = BigInt(Date.now() + 50) * 1_000_000n
  expect(texts(await collect(path, { follow: true, until }))).toBe("a")
})

const descriptorsOf = (path: string): number =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path
    } catch {
      return false
    }
  }).length

test("many followers share one descriptor and the lines they read, wherever they begin", async () => {
  const path = freshPath()
  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  const expected = Array.from({ length: 5000 }, (_, index) => `${index}`)
  writeFileSync(
    path,
    expected
      .slice(0, 100)
      .map((text) => line(text))
      .join(""),
  )
  const followers = Array.from({ length: 40 }, (_, index) =>
    collect(path, { follow: true, ended, ...(index % 2 === 1 && { tail: index }) }),
  )
  await Bun.sleep(30)
  expect(descriptorsOf(path)).toBe(1)
  for (let from = 100; from < 5000; from += 350) {
    // Half a line at a time, so that readers meet torn ones.
    const text = expected
      .slice(from, from + 350)
      .map((one) => line(one))
      .join("")
    appendFileSync(path, text.slice(0, text.length - 20))
    await Bun.sleep(2)
    appendFileSync(path, text.slice(text.length - 20))
  }
  end()
  const got = await Promise.all(followers)
  for (const [index, entries] of got.entries())
    expect(texts(entries)).toBe(expected.slice(index % 2 === 1 ? 100 - index : 0).join(" "))
  // The same objects, not equal ones: read and parsed once.
  expect(new Set(got.map((entries) => entries.at(-1))).size).toBe(1)
  expect(descriptorsOf(path)).toBe(0)
})

test("a line longer than a block is whole, one longer than any line is dropped with its rest", async () => {
  const path = freshPath()
  const long = "x".repeat(300_000)
  writeFileSync(path, line("a") + line(long) + line("b") + line("y".repeat(20 << 20)) + line("c"))
  expect((await collect(path)).map((entry) => entry.line.length)).toEqual([2, 300_001, 2, 2])
})
