// The monitor's relay of names: questions at 127.0.0.11 go to a name server on a unix socket, and answers come back.
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import fc from "fast-check"
import { ask, startLauncher, type TestLauncher } from "./client.ts"
import { type Monitored, monitorOf, shell } from "./monitored.ts"
import { inNamespace, keepAsking, NameServer } from "./names.ts"

let launcher: TestLauncher
let server: NameServer
let container: Monitored
let init = 0
beforeAll(async () => {
  launcher = await startLauncher()
  server = new NameServer(join(launcher.directory, "names.sock"))
  await server.open()
  await ask(launcher.socket, [["netns-create"], ["name", "one"]])
  container = await shell(launcher, "sleep 1000", {
    extra: [
      ["namespace", "network", "held:one"],
      ["name-relay", server.path, "c0ffee"],
    ],
  })
  init = await container.started()
})
afterEach(async () => {
  expect((await container.ask([["state"]])).kind).toBe("ok")
  server.answer = (bytes) => Buffer.concat([bytes, Buffer.from("!")])
  await server.open()
})
afterAll(async () => {
  await container.ask([["signal"], ["number", 9]])
  await container.ended()
  await server.close()
  await ask(launcher.socket, [["netns-drop"], ["name", "one"]])
  await launcher[Symbol.asyncDispose]()
})

const udp = (body: string, pid = init) => inNamespace(pid, `${udpAsker}\n${body}`)
const tcp = (body: string, pid = init) => inNamespace(pid, `${tcpAsker}\n${body}`)
const udpAsker = `
const socket = require("node:dgram").createSocket("udp4")
const ask = (text) => socket.send(text.padEnd(12, "."), 61053, "127.0.0.11")
const say = (bytes, from) => console.log(String(bytes).replaceAll(".", "") + " from " + from.address + ":" + from.port)`
const tcpAsker = `
const socket = require("node:net").connect(61053, "127.0.0.11")
const framed = (text) => { const bytes = Buffer.from(text.padEnd(12, ".")), head = Buffer.alloc(2); head.writeUInt16BE(bytes.length); return Buffer.concat([head, bytes]) }
let got = Buffer.alloc(0)
const answers = () => { const all = []; while (got.length >= 2 && got.length >= 2 + got.readUInt16BE(0)) { all.push(got.subarray(2, 2 + got.readUInt16BE(0)).toString()); got = got.subarray(2 + got.readUInt16BE(0)) } return all }
socket.on("data", (bytes) => { got = Buffer.concat([got, bytes]) })`

test("a question by UDP is told with its container and answered from where it was asked", async () => {
  expect(
    await udp(`socket.on("message", (bytes, from) => { say(bytes, from); socket.close() }); ask("hello")`),
  ).toBe("hello! from 127.0.0.11:61053\n")
  expect(server.hellos).toContain("c0ffee")
})

test("many questions at once come back to those who asked", async () => {
  const text = await udp(`
let got = 0
socket.on("message", (bytes) => { if (/^q[0-9]+[.]*!$/.test(String(bytes)) && ++got === 200) { console.log("all"); socket.close() } })
socket.bind(0, () => { for (let n = 0; n < 200; n++) ask("q" + n) })`)
  expect(text).toBe("all\n")
})

test("TCP carries several questions on a connection, in pieces, long ones, and a half-close", async () => {
  const long = "x".repeat(20_000)
  const text = await tcp(`
const all = Buffer.concat([framed("one"), framed("two"), framed(${JSON.stringify(long)}), framed("three")])
socket.write(all.subarray(0, 1)); setTimeout(() => socket.write(all.subarray(1, 30)), 20); setTimeout(() => socket.end(all.subarray(30)), 40)
socket.on("end", () => console.log(answers().map((text) => text.replaceAll(".", "").slice(0, 5) + text.length).join(" ")))`)
  expect(text.trim().split(" ").toSorted()).toEqual(["one!13", "three13", "two!13", "xxxxx20001"])
})

test("more questions on a TCP connection than may be in flight are answered all the same", async () => {
  const text = await tcp(`
socket.write(Buffer.concat(Array.from({ length: 200 }, (_, n) => framed("q" + n))))
const known = new Set()
socket.on("data", () => { for (const text of answers()) known.add(text); if (known.size === 200) { console.log("all"); socket.destroy() } })`)
  expect(text).toBe("all\n")
})

test("an answer larger than the socket's buffer reaches a slow TCP client whole", async () => {
  server.answer = () => Buffer.alloc(60_000, "a")
  const text = await tcp(`
socket.pause()
socket.write(Buffer.concat([framed("1"), framed("2"), framed("3"), framed("4")]))
setTimeout(() => socket.resume(), 300)
let count = 0
socket.on("data", () => { for (const text of answers()) if (text === "a".repeat(60000)) count++; if (count === 4) { console.log("all"); socket.destroy() } })`)
  expect(text).toBe("all\n")
})

test("questions wait for a server that is away, and are answered at once when it is back", async () => {
  await server.close()
  const asked = udp(`
const since = performance.now()
socket.on("message", (bytes, from) => { say(bytes, from); socket.close() }); ask("late"); console.log("asked")`)
  await Bun.sleep(400)
  await server.open()
  const since = performance.now()
  await server.heard("late")
  expect(performance.now() - since).toBeLessThan(100)
  expect(await asked).toBe("asked\nlate! from 127.0.0.11:61053\n")
})

test("what was asked of a server that died is asked of the next", async () => {
  server.answer = () => undefined
  const asked = udp(
    `socket.on("message", (bytes, from) => { say(bytes, from); socket.close() }); ask("again")`,
  )
  await server.heard("again")
  await server.close()
  server.answer = (bytes) => Buffer.concat([bytes, Buffer.from("?")])
  await server.open()
  expect(await asked).toBe("again? from 127.0.0.11:61053\n")
})

test("questions beyond the most in flight push out the oldest", async () => {
  await server.close()
  await udp(`
let n = 0
const more = () => { for (let i = 0; i < 50 && n < 700; i++) ask("n" + n++); if (n < 700) setTimeout(more, 5); else setTimeout(() => socket.close(), 50) }
socket.bind(0, more)`)
  await server.open()
  await server.heard("n699")
  await Bun.sleep(50)
  const numbers = server.questions
    .map((text) => Number(/^n(\d+)/.exec(text)?.[1] ?? -1))
    .filter((n) => n >= 0)
  expect(numbers.length).toBe(512)
  expect(Math.min(...numbers)).toBe(188)
})

test("a monitor without a relay listens nowhere; a request gives it one, and a second another server", async () => {
  const later = await shell(launcher, "ip link set lo up; sleep 1000", {
    extra: [["namespace", "network", "new"]],
  })
  const pid = await later.started()
  await Bun.sleep(50)
  const listening = () =>
    inNamespace(
      pid,
      `console.log(require("node:fs").readFileSync("/proc/net/udp", "utf8").includes("0B00007F:EE7D"))`,
    )
  expect(await listening()).toBe("false\n")
  expect((await later.ask([["name-relay", server.path, "1a7e"]])).kind).toBe("ok")
  expect(await listening()).toBe("true\n")
  const askOnce = `socket.on("message", (bytes, from) => { say(bytes, from); socket.close() }); ask("hi")`
  expect(await udp(askOnce, pid)).toBe("hi! from 127.0.0.11:61053\n")
  expect(server.hellos).toContain("1a7e")
  const other = new NameServer(join(launcher.directory, "other.sock"))
  await other.open()
  expect((await later.ask([["name-relay", other.path, "1a7e"]])).kind).toBe("ok")
  expect(await udp(askOnce, pid)).toBe("hi! from 127.0.0.11:61053\n")
  expect(other.hellos).toEqual(["1a7e"])
  await later.ask([["signal"], ["number", 9]])
  await later.ended()
  await other.gone()
  await other.close()
})

test("bad relays are refused before anything runs", async () => {
  const network = ["namespace", "network", "held:one"] as const
  for (const [extra, words] of [
    [[["name-relay", server.path, "x"]], "network namespace that is there already"],
    [[network, ["name-relay", "/".padEnd(108, "x"), "x"]], "107 bytes"],
    [[network, ["name-relay", server.path, ""]], "a container's ID"],
    [[network, ["name-relay", server.path, "x", "0"]], "not a port"],
    [[network, ["name-relay", server.path, "x"]], "Address in use"],
  ] as const) {
    const refused = await shell(launcher, "true", { extra })
    const report = await refused.plan.report()
    expect([report.kind, report.fields[0]]).toEqual(["failed", "name-relay"])
    expect(report.fields[3]).toMatch(words === "Address in use" ? /in use/ : words)
  }
})

test("a server asks another one from inside the container and hears what it says", async () => {
  const asked: Buffer[] = []
  server.raw = () => {
    const frame = Buffer.alloc(8 + 6 + 12, ".")
    frame.writeUInt16LE(18, 0)
    frame.set([4, 0, 0, 0, 0, 0, 127, 0, 0, 1, 5353 >> 8, 5353 & 255], 2)
    frame.write("inside?", 14)
    asked.push(frame)
    return frame
  }
  const text = await inNamespace(
    init,
    `
const own = require("node:dgram").createSocket("udp4").on("message", (bytes, from) => {
  own.send("inside! to " + bytes, from.port, from.address, () => { console.log(String(bytes)); own.close() })
})
own.bind(5353, "127.0.0.1", () => {
  const socket = require("node:dgram").createSocket("udp4")
  socket.send("first.......", 61053, "127.0.0.11", () => socket.close())
})`,
  )
  expect(text).toBe("inside?.....\n")
  for (let tries = 0; server.passed.length === 0 && tries < 500; tries++) await Bun.sleep(1)
  expect(server.passed).toEqual(["127.0.0.1:5353 inside! to inside?....."])
  server.raw = undefined
})

test("without free descriptors TCP clients wait, and the monitor does not spin", async () => {
  const monitor = monitorOf(init)
  const limit = (most: string) => Bun.spawnSync(["prlimit", "--pid", String(monitor), `--nofile=${most}:`])
  const soft = /^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${monitor}/limits`, "utf8"))?.[1] ?? ""
  const ticks = () =>
    readFileSync(`/proc/${monitor}/stat`, "utf8")
      .split(" ")
      .slice(13, 15)
      .reduce((sum, text) => sum + Number(text), 0)
  limit(String(Math.max(...readdirSync(`/proc/${monitor}/fd`).map(Number)) + 1))
  const asked = tcp(
    `socket.write(framed("late")); socket.on("data", () => { console.log(answers().join()); socket.destroy() })`,
  )
  await Bun.sleep(200)
  const before = ticks()
  await Bun.sleep(500)
  expect(ticks() - before).toBeLessThan(10)
  limit(soft)
  expect(await asked).toBe("late........!\n")
})

test("the monitor sleeps while nobody asks", async () => {
  const ticks = () =>
    Number(
      /^voluntary_ctxt_switches:\s+(\d+)/m.exec(readFileSync(`/proc/${monitorOf(init)}/status`, "utf8"))?.[1],
    )
  await Bun.sleep(100)
  const before = ticks()
  await Bun.sleep(500)
  expect(ticks() - before).toBeLessThanOrEqual(1)
})

test("whatever a name server says, the monitor lives on", async () => {
  const asking = keepAsking(init)
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.oneof(
          fc.uint8Array({ maxLength: 40 }),
          fc
            .tuple(fc.nat(0xffff), fc.nat(4), fc.nat(600), fc.nat(4), fc.uint8Array({ maxLength: 300 }))
            .map(([length, kind, slot, generation, bytes]) => {
              const frame = Buffer.alloc(8 + bytes.length)
              frame.writeUInt16LE(length % 7 === 0 ? length : bytes.length, 0)
              frame[2] = kind
              frame.writeUInt16LE(slot, 4)
              frame.writeUInt16LE(generation, 6)
              frame.set(bytes, 8)
              return frame
            }),
        ),
        { maxLength: 20 },
      ),
      async (chunks) => {
        server.raw = () => Buffer.concat(chunks)
        const asked = server.questions.length
        for (let tries = 0; tries < 1000 && server.questions.length === asked; tries++) await Bun.sleep(1)
        expect((await container.ask([["state"]])).kind).toBe("ok")
      },
    ),
    { numRuns: 40 },
  )
  asking.kill()
  server.raw = undefined
}, 60_000)

test("whatever clients send, the monitor lives on", async () => {
  const text = await inNamespace(
    init,
    `
const dgram = require("node:dgram"), net = require("node:net")
const random = (most) => Math.floor(Math.random() * most)
const bytes = (length) => require("node:crypto").randomBytes(length)
const socket = dgram.createSocket("udp4")
let left = 300
const next = () => {
  if (left-- === 0) return console.log("done"), process.exit(0)
  socket.send(bytes(random(left % 10 ? 600 : 9000)), 61053, "127.0.0.11")
  const client = net.connect(61053, "127.0.0.11").on("error", () => {})
  const piece = bytes(random(3000))
  if (left % 3) piece[0] = 0
  client.write(piece)
  if (left % 4 === 0) client.end(); else if (left % 4 === 1) client.destroy(); else if (left % 4 === 2) client.resetAndDestroy()
  setTimeout(next, 1)
}
next()`,
  )
  expect(text).toBe("done\n")
})
