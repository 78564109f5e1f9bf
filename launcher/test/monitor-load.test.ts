// The monitor under load: large outputs, clients that stall or vanish, memory that stays flat.
import { afterAll, expect, test } from "bun:test"
import { existsSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { connect, launcherBinary, startLauncher } from "./client.ts"
import { countOutput, memoryOf, monitorOf, shell, until } from "./monitored.ts"

const line = `${"0123456789".repeat(9)}12345678\n`
const flood = (bytes: number) => `yes ${line.trim()} | head -c ${bytes}`

// AddressSanitizer keeps freed memory for a while.
const sanitized = launcherBinary.includes("sanitized")
const flat = sanitized ? 400 * 1024 : 6 * 1024

const launcher = await startLauncher()
afterAll(() => launcher[Symbol.asyncDispose]())

test("200 MB reach a client and the log, and memory stays flat", async () => {
  const total = 200_000_000
  const container = await shell(launcher, flood(total), { expect: 1 })
  const monitor = monitorOf(await container.started())
  const from = performance.now()
  const count = await countOutput(container)
  let peak = 0
  const sampling = setInterval(() => {
    peak = Math.max(peak, memoryOf(monitor, "Rss"))
  }, 20)
  await count.ended
  const took = performance.now() - from
  clearInterval(sampling)
  expect((await container.ended()).fields[0]).toBe("0")
  expect(count.bytes).toBe(total)
  expect(peak).toBeLessThan(flat)
  expect(statSync(container.log).size).toBeGreaterThan(total)
  console.log(`200 MB in ${took.toFixed(0)} ms, the monitor's peak ${peak} KiB`)
}, 60_000)

test("a stalled client stalls the output, its going away frees it", async () => {
  const container = await shell(launcher, flood(20_000_000), { expect: 2, log: "none" })
  const monitor = monitorOf(await container.started())
  const stalled = await container.attach("stdout")
  stalled.socket.pause()
  const count = await countOutput(container)
  await Bun.sleep(300)
  const before = count.bytes
  expect(before).toBeLessThan(4_000_000)
  await Bun.sleep(100)
  expect(count.bytes).toBe(before)
  expect(memoryOf(monitor, "Rss")).toBeLessThan(flat)
  stalled.close()
  await count.ended
  expect(count.bytes).toBe(20_000_000)
  expect((await container.ended()).fields[0]).toBe("0")
}, 20_000)

test("an end is recorded and told while a client stalls, which gets its bytes later", async () => {
  const container = await shell(launcher, `${flood(1_100_000)}; exit 9`, { expect: 1, log: "none" })
  await container.started()
  const count = await countOutput(container)
  count.socket.pause()
  expect((await container.ended()).fields[0]).toBe("9")
  expect(count.bytes).toBeLessThan(1_100_000)
  count.socket.resume()
  await count.ended
  expect(count.bytes).toBe(1_100_000)
}, 20_000)

test("hundreds of clients that vanish leave nothing behind", async () => {
  const container = await shell(launcher, `while :; do echo ${line.trim()}; sleep 0.01; done`, {
    stdin: "open",
    log: "none",
  })
  const monitor = monitorOf(await container.started())
  const descriptors = () =>
    [...new Bun.Glob("*").scanSync({ cwd: `/proc/${monitor}/fd`, onlyFiles: false })].length
  await container.attach("stdout").then((first) => first.close())
  await Bun.sleep(50)
  const [atFirst, memory] = [descriptors(), memoryOf(monitor, "Rss")]
  for (let round = 0; round < 4; round++) {
    const clients = await Promise.all(
      Array.from({ length: 100 }, (_, n) => container.attach(n % 2 ? "stdin,stdout,stderr" : "stdout")),
    )
    for (const client of clients) client.close()
  }
  await until(() => descriptors() <= atFirst, "all clients are forgotten")
  expect(memoryOf(monitor, "Rss") - memory).toBeLessThan(512)
  await container.ask([["signal"], ["number", 9]])
  await container.ended()
}, 20_000)

test("more than 512 connections are refused with a sentence", async () => {
  const container = await shell(launcher, "sleep 100", { log: "none" })
  await container.started()
  const tried = await Promise.allSettled(Array.from({ length: 600 }, () => connect(container.socket)))
  const many = tried.filter((one) => one.status === "fulfilled").map((one) => one.value)
  const answers = await Promise.all(
    many.map((one) => Promise.race([one.report().catch(() => undefined), Bun.sleep(500)])),
  )
  for (const answer of answers.filter((one) => one !== undefined))
    expect(answer.fields[3]).toContain("too many connections")
  expect(many.length - answers.filter((one) => one !== undefined).length).toBeLessThanOrEqual(511)
  for (const one of many) one.close()
  await Bun.sleep(100)
  expect((await container.ask([["signal"], ["number", 9]])).kind).toBe("ok")
  await container.ended()
}, 20_000)

test("an idle container's monitor is small", async () => {
  const container = await shell(launcher, `${flood(3_000_000)}; sleep 100`, { expect: 1 })
  const monitor = monitorOf(await container.started())
  const client = await container.attach("stdout")
  await Bun.sleep(1500)
  client.close()
  await Bun.sleep(50)
  console.log(
    `idle after output: PSS ${memoryOf(monitor)} KiB, RSS ${memoryOf(monitor, "Rss")} KiB, private ${memoryOf(monitor, "Private_Dirty")} KiB`,
  )
  if (!sanitized) expect(memoryOf(monitor)).toBeLessThan(400)
  await container.ask([["signal"], ["number", 9]])
  await container.ended()
}, 20_000)

test("kill -9 of the client that launched changes nothing for the container", async () => {
  const container = await shell(launcher, "echo one; sleep 0.3; echo two; exit 6", { log: [0, 1] })
  await container.started()
  container.plan.close()
  await until(() => existsSync(join(container.directory, "exit")), "the end is recorded")
  expect(readFileSync(join(container.directory, "exit"), "utf8").split("\0")[1]).toBe("6")
  await until(() => container.text("stdout") === "one\ntwo\n", "the log is whole")
})
