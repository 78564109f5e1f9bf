// The rules that lead 127.0.0.11:53 to the monitor's port, in a real namespace with real packets.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openTestKernel } from "../../../test/fixtures/launcher-kernel.ts"
import type { LauncherKernel } from "../../kernel/kernel.ts"
import { collect } from "../request.ts"
import { NAME_SERVER_PORT, redirectOperations } from "./redirect.ts"

const root = mkdtempSync(join(tmpdir(), "sloop-redirect-"))
let kernel: LauncherKernel
let stop: () => Promise<void>
let place: string[] = []
let server: ChildProcess

/** Descriptors of network namespaces that the launcher has open, but its own. */
const heldNamespaces = (pid: number): string[] => {
  const own = readlinkSync(`/proc/${pid}/ns/net`)
  return readdirSync(`/proc/${pid}/fd`)
    .map((name) => `/proc/${pid}/fd/${name}`)
    .filter((path) => readlinkSync(path).startsWith("net:") && readlinkSync(path) !== own)
}

/** Runs a script of this runtime in the namespace. */
const inside = (script: string): string =>
  spawnSync(place[0] ?? "", [...place.slice(1), process.execPath, "-e", script], {
    encoding: "utf8",
    timeout: 10_000,
  }).stdout

const serverScript = `
const dgram = require("node:dgram"), net = require("node:net")
const udp = dgram.createSocket("udp4").on("message", (bytes, from) => udp.send("udp " + bytes, from.port, from.address))
udp.bind(${NAME_SERVER_PORT}, "127.0.0.11", () =>
  net.createServer((socket) => socket.on("data", (bytes) => socket.end("tcp " + bytes)))
    .listen(${NAME_SERVER_PORT}, "127.0.0.11", () => console.log("ready")))`

beforeAll(async () => {
  ;({ kernel, stop } = await openTestKernel(root))
  await kernel.perform([["netns-create"], ["name", "names"], ...redirectOperations()])
  // Twice is once.
  await collect(kernel, [["netlink"], ["namespace", "held:names"], ...redirectOperations()])
  place = ["nsenter", `--net=${heldNamespaces(await kernel.launcherPid())[0]}`]
  server = spawn(place[0] ?? "", [...place.slice(1), process.execPath, "-e", serverScript])
  await new Promise((resolve) => server.stdout?.once("data", resolve))
})
afterAll(async () => {
  server.kill()
  await kernel.perform([["netns-drop"], ["name", "names"]])
  await stop()
  rmSync(root, { recursive: true })
})

test("UDP asked at port 53 is answered from port 53, to connected sockets too", () => {
  const script = `
const socket = require("node:dgram").createSocket("udp4")
socket.on("message", (bytes, from) => { console.log(bytes + " from " + from.address + ":" + from.port); socket.close() })
socket.connect(53, "127.0.0.11", () => socket.send("hello"))`
  expect(inside(script)).toBe("udp hello from 127.0.0.11:53\n")
})

test("TCP at port 53 reaches the same server", () => {
  const script = `
const socket = require("node:net").connect(53, "127.0.0.11", () => socket.write("hello"))
socket.on("data", (bytes) => console.log(bytes + " from port " + socket.remotePort))`
  expect(inside(script)).toBe("tcp hello from port 53\n")
})

test("port 53 of every address is free for the user's own name server, at 127.0.0.1 too", () => {
  const script = `
const dgram = require("node:dgram")
const own = dgram.createSocket("udp4").on("message", (bytes, from) => own.send("own " + bytes, from.port, from.address))
own.bind(53, "0.0.0.0", () => {
  const asking = dgram.createSocket("udp4").on("message", (bytes) => { console.log(String(bytes)); process.exit(0) })
  asking.send("hello", 53, "127.0.0.1")
})`
  expect(inside(script)).toBe("own hello\n")
})
