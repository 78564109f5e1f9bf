// The monitor's socket against malformed frames and plans: it answers `failed` or closes, and lives on.

import { afterAll, beforeAll, expect, test } from "bun:test"
import { setTimeout } from "node:timers/promises"
import fc from "fast-check"
import {
  connect,
  encodeFrame,
  encodePlan,
  type Operation,
  startLauncher,
  type TestLauncher,
} from "./client.ts"
import { type Monitored, shell } from "./monitored.ts"

let launcher: TestLauncher
let container: Monitored
beforeAll(async () => {
  launcher = await startLauncher()
  container = await shell(launcher, "while :; do echo x; sleep 0.05; done", { log: [1000, 2] })
  await container.started()
})
afterAll(async () => {
  await container.ask([["signal"], ["number", 9]])
  await container.ended()
  await launcher[Symbol.asyncDispose]()
})

const alive = async () => expect((await container.ask([["state"]])).kind).toBe("ok")

/** Sends bytes, half-closes and gives the first report's kind, or undefined when the monitor just closes. */
async function send(bytes: Uint8Array): Promise<string | undefined> {
  const connection = await connect(container.socket)
  connection.socket.end(bytes)
  const answer = await Promise.race([
    connection.report().then(
      (report) => report.kind,
      () => undefined,
    ),
    setTimeout(2000, "hangs"),
  ])
  connection.close()
  return answer
}

const word = fc.oneof(
  fc.constantFrom(
    "attach",
    "watch",
    "signal",
    "resize",
    "exec",
    "log-rotate",
    "state",
    "streams",
    "number",
    "size",
    "stdio",
  ),
  fc.constantFrom(
    "stdin,stdout",
    "stdout",
    "",
    "-1",
    "0",
    "65536",
    "99999999999999999999",
    "pipe",
    "tty",
    "open",
    "closed",
    "once",
  ),
  fc.string({ maxLength: 200 }).map((text) => text.replaceAll("\0", "")),
)
const operations = fc.array(
  fc.tuple(word, fc.array(word, { maxLength: 6 })).map(([name, args]): Operation => [name, ...args]),
  { minLength: 1, maxLength: 6 },
)
// Number 0 is the only signal that a random plan may send to the container.
const harmless = (plan: readonly Operation[]) =>
  !(plan[0]?.[0] === "signal" && plan.some((one) => one[0] === "number" && Number(one[1]) > 0))

test("random bytes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 8, maxLength: 300 }), async (bytes) => {
      if (bytes[0] === 1 && bytes[1] === 1) bytes[0] = 2
      expect(await send(bytes)).toBe("failed")
    }),
    { numRuns: 150 },
  )
  await alive()
}, 30_000)

test("random payloads in good frames", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (bytes) => {
      expect(await send(encodeFrame(1, bytes))).toBe("failed")
    }),
    { numRuns: 150 },
  )
  await alive()
}, 30_000)

test("random plans of known words", async () => {
  await fc.assert(
    fc.asyncProperty(operations.filter(harmless), async (plan) => {
      expect(await send(encodeFrame(1, encodePlan(plan)))).toBeOneOf(["failed", "ok", "started"])
    }),
    { numRuns: 300 },
  )
  await alive()
}, 60_000)

test("mutated plans", async () => {
  const good = encodeFrame(
    1,
    encodePlan([
      ["exec", "m"],
      ["stdio", "pipe", "closed", "once", 0, 0],
      ["argv", "/bin/true"],
    ]),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      async (changes) => {
        const bytes = Buffer.from(good)
        for (const [at, value] of changes) bytes[at] = value
        expect(await send(bytes)).not.toBe("hangs")
      },
    ),
    { numRuns: 300 },
  )
  await alive()
}, 60_000)

test("truncated frames, and lengths that promise megabytes", async () => {
  const plan = encodeFrame(1, encodePlan([["state"]]))
  for (let length = 0; length < plan.length; length++)
    expect(await send(plan.subarray(0, length))).toBeUndefined()
  const huge = Buffer.from(plan)
  huge.writeUInt32LE(4 << 20, 4)
  expect(await send(huge)).toBeUndefined()
  huge.writeUInt32LE((4 << 20) + 1, 4)
  expect(await send(huge)).toBe("failed")
  await alive()
})

test("a request that comes byte by byte, and several on one connection", async () => {
  const connection = await connect(container.socket)
  for (const byte of encodeFrame(1, encodePlan([["state"]]))) {
    connection.socket.write(Buffer.from([byte]))
    await Bun.sleep(0)
  }
  expect((await connection.report()).kind).toBe("ok")
  connection.send([["log-rotate"]])
  expect((await connection.report()).kind).toBe("ok")
  connection.send([["signal"], ["number", 0]])
  expect((await connection.report()).kind).toBe("ok")
  connection.close()
})
