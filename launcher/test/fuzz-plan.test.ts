// The plan decoder through the launcher's real socket: random and mutated frames get `failed`, nothing else happens.

import { afterAll, expect, test } from "bun:test"
import { setTimeout } from "node:timers/promises"
import fc from "fast-check"
import { ask, connect, encodeFrame, encodePlan, type Operation, startLauncher } from "./client.ts"

const launcher = await startLauncher()
afterAll(async () => {
  expect(launcher.process.exitCode).toBeNull()
  expect(await ask(launcher.socket, [["version"]])).toMatchObject({
    kind: "ok",
    values: { pid: String(launcher.process.pid) },
  })
  await launcher[Symbol.asyncDispose]()
})

/** The reports that the launcher gives for these bytes, after which the client says nothing more. */
async function answers(bytes: Uint8Array): Promise<readonly string[]> {
  const connection = await connect(launcher.socket)
  connection.socket.end(bytes)
  const reports = await Promise.race([connection.reports(), setTimeout(3000, undefined)])
  connection.close()
  return reports?.map((report) => report.kind) ?? ["hangs"]
}

// Only names that no verb has: a random plan must not do anything to the machine.
const unknown = fc.string({ minLength: 1, maxLength: 40 }).map((text) => `x-${text.replaceAll("\0", "")}`)
const operations = fc.array(
  fc.tuple(unknown, fc.array(unknown, { maxLength: 8 })).map(([name, args]): Operation => [name, ...args]),
  { minLength: 1, maxLength: 20 },
)

test("random frames", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 500 }), async (bytes) => {
      expect(await answers(bytes)).toEqual(["failed"])
    }),
    { numRuns: 150 },
  )
}, 60_000)

test("random payloads in a plan's frame", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 500 }), async (bytes) => {
      expect(await answers(encodeFrame(1, bytes))).toEqual(["failed"])
    }),
    { numRuns: 150 },
  )
}, 60_000)

test("plans of unknown verbs", async () => {
  await fc.assert(
    fc.asyncProperty(operations, async (plan) => {
      expect(await answers(encodeFrame(1, encodePlan(plan)))).toEqual(["failed"])
    }),
    { numRuns: 150 },
  )
}, 60_000)

test("unknown operations and wrong counts in a launch fail it before anything is done", async () => {
  const directory = launcher.directory
  await fc.assert(
    fc.asyncProperty(operations, fc.nat(10), async (extra, at) => {
      const plan: Operation[] = [
        ["launch", "f"],
        ["monitor-socket", `${directory}/f.sock`],
        ["argv", "/bin/true"],
      ]
      plan.splice(1 + (at % 2), 0, ...extra)
      expect(await answers(encodeFrame(1, encodePlan(plan)))).toEqual(["failed"])
      expect(await Bun.file(`${directory}/f.sock`).exists()).toBe(false)
    }),
    { numRuns: 80 },
  )
  for (const wrong of [
    ["monitor-socket"],
    ["stdio", "pipe"],
    ["log", "json-file"],
    ["namespace", "mount"],
    ["attach-expect"],
  ] as const)
    expect(
      await answers(encodeFrame(1, encodePlan([["launch", "f"], wrong, ["argv", "/bin/true"]]))),
    ).toEqual(["failed"])
}, 60_000)

test("a mutated version request is answered, whatever it has become", async () => {
  const good = encodeFrame(1, encodePlan([["version"]]))
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      async (changes) => {
        const bytes = Buffer.from(good)
        for (const [at, value] of changes) bytes[at] = value
        expect(await answers(bytes)).toBeOneOf([["ok"], ["failed"]])
      },
    ),
    { numRuns: 200 },
  )
}, 60_000)

test("truncated frames, promised megabytes, too many operations", async () => {
  const good = encodeFrame(1, encodePlan([["version"]]))
  for (let length = 0; length < good.length; length++)
    expect(await answers(good.subarray(0, length))).toEqual(["failed"])
  for (const length of [(4 << 20) + 1, 0xffffffff, 4 << 20]) {
    const bytes = Buffer.from(good)
    bytes.writeUInt32LE(length, 4)
    expect(await answers(bytes)).toEqual(["failed"])
  }
  const many = encodeFrame(1, Buffer.from(`version\x000\0${"x\x000\0".repeat(65536)}`))
  expect(await answers(many)).toEqual(["failed"])
  const counts = ["-1", "+1", " 1", "1e3", "0x10", "18446744073709551616", "4294967297", "99999", ""]
  for (const count of counts)
    expect(await answers(encodeFrame(1, Buffer.from(`version\0${count}\0a\0`)))).toEqual(["failed"])
}, 30_000)
