// The monitor's log: Docker's json-file lines, rotation, a full disk.
import { afterAll, expect, test } from "bun:test"
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import fc from "fast-check"
import { startLauncher } from "./client.ts"
import { launch, type Monitored, makeRoot, shell, until } from "./monitored.ts"

const launcher = await startLauncher()
afterAll(() => launcher[Symbol.asyncDispose]())

async function run(bytes: Uint8Array): Promise<Monitored> {
  writeFileSync(join(makeRoot(launcher), "tmp/text"), bytes)
  const container = await launch(launcher, ["/bin/cat", "/tmp/text"])
  await container.started()
  await container.ended()
  return container
}

test("a line is exactly Docker's", async () => {
  const container = await shell(launcher, `printf 'a "b" \\\\ <&>\\t\\r\\001\\177 ü\\n'`)
  await container.started()
  await container.ended()
  const time = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z/
  const text = existsSync(container.log) ? readFileSync(container.log, "utf8") : ""
  expect(text).toMatch(time)
  expect(text.replace(time, "T")).toBe(
    `{"log":"a \\"b\\" \\\\ \\u003c\\u0026\\u003e\\u0009\\r\\u0001\x7f ü\\n","stream":"stdout","time":"T"}\n`,
  )
})

test("long lines are cut at 16 KiB, the last piece has the newline", async () => {
  const container = await run(Buffer.from(`${"x".repeat(40000)}\n${"y".repeat(16384)}\nend`))
  expect(container.lines().map((line) => line.log.length)).toEqual([16384, 16384, 7233, 16384, 1, 3])
})

test("a character on the cut is not torn apart", async () => {
  const text = `${"é".repeat(20000)}x${"€".repeat(20000)}\n`
  expect((await run(Buffer.from(text))).text("stdout")).toBe(text)
})

test("any bytes come back as UTF-8 decoding sees them", async () => {
  // One replacement for each bad byte, as Docker does; TextDecoder merges truncated sequences, so only whole ones here.
  const piece = fc.oneof(
    fc.string({ unit: "grapheme" }).map((text) => ({ bytes: Buffer.from(text), text })),
    fc.constantFrom(0xff, 0x80, 0xc0, 0xfe).map((byte) => ({ bytes: Buffer.from([byte]), text: "\ufffd" })),
    fc.constant({ bytes: Buffer.from([0xed, 0xa0, 0x80]), text: "\ufffd\ufffd\ufffd" }),
    fc.constant({ bytes: Buffer.from("\u2028\u2029\n"), text: "\u2028\u2029\n" }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 50 }), async (pieces) => {
      const container = await run(Buffer.concat(pieces.map((one) => one.bytes)))
      expect(container.text("stdout")).toBe(pieces.map((one) => one.text).join(""))
    }),
    { numRuns: 40 },
  )
}, 30_000)

test("files rotate at their size, whole lines only, the oldest go", async () => {
  const container = await shell(launcher, "seq 1 2000", { log: [20_000, 3] })
  await container.started()
  await container.ended()
  const files = [`${container.log}.2`, `${container.log}.1`, container.log]
  expect(existsSync(`${container.log}.3`)).toBe(false)
  const numbers = files.flatMap((file) => container.lines(file)).map((line) => Number(line.log))
  expect(numbers.at(-1)).toBe(2000)
  expect(numbers).toEqual(Array.from(numbers, (_, n) => 2000 - numbers.length + 1 + n))
  for (const file of files.slice(0, 2)) expect(statSync(file).size).toBeWithin(20_000, 20_100)
})

test("one file begins anew, and a reader of the old one keeps it", async () => {
  const container = await shell(launcher, "seq 1 2000", { log: [20_000, 1] })
  await container.started()
  await container.ended()
  expect(existsSync(`${container.log}.1`)).toBe(false)
  expect(statSync(container.log).size).toBeLessThan(20_100)
  expect(container.text("stdout").endsWith("1999\n2000\n")).toBe(true)
})

test("log-rotate on request", async () => {
  const container = await shell(launcher, "echo one; read go; echo two", { stdin: "open", log: [0, 2] })
  await container.started()
  await until(() => container.text("stdout") === "one\n", "the first line is written")
  expect((await container.ask([["log-rotate"]])).kind).toBe("ok")
  const client = await container.attach("stdin")
  client.socket.write("go\n")
  await container.ended()
  expect(container.lines(`${container.log}.1`).map((line) => line.log)).toEqual(["one\n"])
  expect(container.lines().map((line) => line.log)).toEqual(["two\n"])
})

test("a full disk: the container goes on, the lost lines are counted", async () => {
  const container = await shell(launcher, "seq 1 50; read go; exit 3", {
    stdin: "open",
    log: [0, 1],
    logPath: "/dev/full",
  })
  await container.started()
  for (let dropped = "0"; dropped !== "50"; await Bun.sleep(5))
    dropped = (await container.ask([["state"]])).values.dropped ?? ""
  const client = await container.attach("stdin")
  client.socket.end("go\n")
  expect((await container.ended()).fields[0]).toBe("3")
})
