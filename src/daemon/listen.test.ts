// Addresses and sockets that the daemon answers on.
import { afterAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { createServer as createNetServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inheritedSockets } from "./activation.ts"
import { clear, listen, type OwnAddress, parseAddress, requireLocal } from "./listen.ts"

const directory = mkdtempSync(join(tmpdir(), "sloop-listen-"))
afterAll(() => rmSync(directory, { recursive: true }))

test("addresses", () => {
  expect(parseAddress("unix:///a/b")).toEqual({ kind: "unix", path: "/a/b" })
  expect(parseAddress("/a/b")).toEqual({ kind: "unix", path: "/a/b" })
  expect(parseAddress("tcp://127.0.0.1:23")).toEqual({ kind: "tcp", host: "127.0.0.1", port: 23 })
  expect(parseAddress("tcp://:80")).toEqual({ kind: "tcp", host: "127.0.0.1", port: 80 })
  expect(parseAddress("tcp://[::1]:80")).toEqual({ kind: "tcp", host: "::1", port: 80 })
  for (const bad of ["unix://a", "fd://a", "http://x", "tcp://a:b", "tcp://a:70000", `/${"x".repeat(108)}`]) {
    expect(() => parseAddress(bad)).toThrow(/--host/)
  }
})

test("other machines are kept out unless the owner insists", () => {
  const open = parseAddress("tcp://0.0.0.0:1")
  expect(() => requireLocal(open, false)).toThrow(/--allow-unprotected-tcp/)
  requireLocal(open, true)
  requireLocal(parseAddress("tcp://127.0.0.2:1"), false)
  requireLocal(parseAddress("unix:///a"), false)
})

test("a stale socket makes way, a live one and a file do not", async () => {
  const path = join(directory, "a.sock")
  const address: OwnAddress = { kind: "unix", path }
  const server = createServer()
  await clear(address)
  await listen(server, address)
  expect(statSync(path).mode & 0o777).toBe(0o660)
  await expect(clear(address)).rejects.toThrow(/another daemon answers/)
  await new Promise((resolve) => server.close(resolve))
  const dead = Bun.spawn([
    process.execPath,
    "-e",
    `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`,
  ])
  await dead.exited
  expect(statSync(path).isSocket()).toBe(true)
  const second = createNetServer()
  await clear(address)
  await new Promise<void>((resolve) => second.listen(path, resolve))
  await new Promise((resolve) => second.close(resolve))
  const file = join(directory, "file")
  writeFileSync(file, "")
  await expect(clear(parseAddress(file))).rejects.toThrow(/is in the way/)
})

test("sockets of systemd's, and the port of TLS", () => {
  expect(parseAddress("fd://")).toEqual({ kind: "fd" })
  expect(parseAddress("fd://*")).toEqual({ kind: "fd" })
  expect(parseAddress("fd://4")).toEqual({ kind: "fd", descriptor: 4 })
  requireLocal({ kind: "fd" }, false)
  expect(parseAddress("tcp://127.0.0.1", true)).toMatchObject({ port: 2376 })
  const env = { LISTEN_PID: "7", LISTEN_FDS: "2", LISTEN_FDNAMES: "a:b", OTHER: "x" }
  expect(inheritedSockets({ ...env }, 8)).toEqual([])
  const own = { ...env }
  expect(inheritedSockets(own, 7)).toEqual([3, 4])
  // What the daemon starts must not take them for its own.
  expect(own as Record<string, string>).toEqual({ OTHER: "x" })
})
