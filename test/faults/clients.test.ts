// Clients that vanish, stall or never come: descriptors and memory stay flat, others are served.
import { afterAll, expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { connect, type Socket } from "node:net"
import { eventually, startEngine } from "../fixtures/engine.ts"
import { rawRequest } from "../fixtures/raw-request.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { ok } = engine

const descriptors = () => readdirSync(`/proc/${engine.pid()}/fd`).length
/** Resident memory of the daemon in MB. */
const resident = () =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${engine.pid()}/status`, "utf8"))?.[1]) / 1024
const settled = async (limit: number) =>
  eventually(
    `the descriptors are closed (at most ${limit}, now ${descriptors()})`,
    () => descriptors() <= limit,
    15_000,
  )

/** Sends bytes on a connection of its own; hangs up after the first bytes of an answer, or after some time. */
const vanish = (bytes: string | Uint8Array, wait: "answer" | number): Promise<void> =>
  new Promise((resolve) => {
    const socket: Socket = connect(engine.socket)
    const end = () => {
      clearTimeout(timer)
      socket.destroy()
      resolve()
    }
    const timer = setTimeout(end, wait === "answer" ? 5000 : wait)
    socket.on("error", end)
    socket.on("close", end)
    if (wait === "answer") socket.once("data", end)
    socket.write(bytes)
  })

const post = (path: string, body = "", more = "") =>
  `POST ${path} HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`
const upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n"
const websocket =
  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: d\r\n\r\n`

const times = async (count: number, atOnce: number, work: () => Promise<void>): Promise<void> => {
  let left = count
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (left-- > 0) await work()
    }),
  )
}

test("a hundred clients of each kind vanish in the middle, and nothing stays open", async () => {
  const id = await ok("run", "-d", "busybox", "sh", "-c", "while :; do echo tick; sleep 0.02; done")
  await times(20, 10, () => vanish(get("/info"), "answer"))
  await settled(descriptors())
  const before = descriptors()
  const archive = Buffer.from(await Bun.file(`${import.meta.dir}/../../.cache/busybox.tar`).arrayBuffer())
  const half = Buffer.concat([
    Buffer.from(
      `POST /images/load HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\nContent-Length: ${archive.length}\r\n\r\n`,
    ),
    archive.subarray(0, archive.length / 2),
  ])
  const put = Buffer.concat([
    Buffer.from(
      `PUT /containers/${id}/archive?path=/tmp HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\nContent-Length: ${archive.length}\r\n\r\n`,
    ),
    archive.subarray(0, 100_000),
  ])
  const execs: string[] = []
  for (let count = 0; count < 100; count++) {
    const made = await rawRequest(engine.socket, "POST", `/containers/${id}/exec`, {
      body: JSON.stringify({ Cmd: ["cat"], AttachStdin: true, AttachStdout: true }),
    })
    execs.push(String(JSON.parse(made.body).Id))
  }
  const start = JSON.stringify({ Detach: false, Tty: false })
  const kinds: Record<string, () => Promise<void>> = {
    attach: () => vanish(post(`/containers/${id}/attach?stream=1&stdout=1&stdin=1`, "", upgrade), "answer"),
    "attach without upgrade": () => vanish(post(`/containers/${id}/attach?stream=1&stdout=1`), "answer"),
    logs: () => vanish(get(`/containers/${id}/logs?stdout=1&follow=1`), "answer"),
    stats: () => vanish(get(`/containers/${id}/stats`), 30),
    events: () => vanish(get("/events"), "answer"),
    wait: () => vanish(post(`/containers/${id}/wait`), "answer"),
    exec: () => vanish(post(`/exec/${execs.pop()}/start`, start, upgrade), "answer"),
    load: () => vanish(half, 20),
    "put archive": () => vanish(put, 10),
    "get archive": () => vanish(get(`/containers/${id}/archive?path=/bin`), "answer"),
    export: () => vanish(get(`/containers/${id}/export`), "answer"),
    save: () => vanish(get("/images/busybox/get"), "answer"),
    "half a head": () => vanish("POST /containers/create HTTP/1.1\r\nHost: d\r\nConte", 5),
    "half a body": () =>
      vanish(
        "POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{",
        5,
      ),
  }
  for (const [kind, work] of Object.entries(kinds)) {
    await times(100, 25, work)
    expect([kind, (await rawRequest(engine.socket, "GET", "/_ping")).body]).toEqual([kind, "OK"])
  }
  await settled(before + 10)
  // A shell whose client has gone lost its input: it has ended.
  await eventually("the execs' processes end", async () => !(await ok("exec", id, "ps")).includes(" cat"))
  await ok("rm", "-f", id)
  expect(await ok("images", "-aq", "--no-trunc")).toMatch(/^sha256:[0-9a-f]{64}$/)
}, 120_000)

test("ten thousand aborted attaches, execs, logs and events leave memory and descriptors flat", async () => {
  const id = await ok("run", "-d", "busybox", "sh", "-c", "while :; do echo tick; sleep 0.02; done")
  const kinds = [
    post(`/containers/${id}/attach?stream=1&stdout=1&stderr=1&stdin=1`, "", upgrade),
    get(`/containers/${id}/logs?stdout=1&follow=1&tail=1`),
    get("/events"),
    post(`/containers/${id}/wait`),
    get(`/containers/${id}/attach/ws?stream=1&stdout=1&stdin=1`).replace(/\r\n$/, websocket),
  ]
  const volley = (count: number) =>
    times(count, 20, async () => {
      for (const bytes of kinds) await vanish(bytes, "answer")
    })
  const execs = (count: number) =>
    times(count, 8, async () => {
      const made = await rawRequest(engine.socket, "POST", `/containers/${id}/exec`, {
        body: '{"Cmd":["cat"],"AttachStdin":true,"AttachStdout":true}',
      })
      const { Id } = JSON.parse(made.body) as { Id: string }
      await vanish(post(`/exec/${Id}/start`, "{}", upgrade), "answer")
    })
  await volley(500)
  await execs(50)
  await Bun.sleep(1500)
  const before = resident()
  const opened = descriptors()
  await volley(1500)
  await execs(150)
  await settled(opened + 5)
  // The collector takes its time.
  await eventually(`memory is flat (${before} MB before)`, () => resident() < before + 20, 15_000)
  await ok("rm", "-f", id)
}, 60_000)

test("clients that never read hold up neither the daemon's memory nor others", async () => {
  const id = await ok(
    "run",
    "-d",
    "busybox",
    "sh",
    "-c",
    "sleep 0.3; yes 0123456789012345678901234567890123456789 | head -c 150000000; echo; echo end; sleep 1000",
  )
  const stalled = [
    get(`/containers/${id}/logs?stdout=1&follow=1`),
    get("/events"),
    get(`/containers/${id}/export`),
    get("/images/busybox/get"),
  ].map((bytes) => {
    const socket = connect(engine.socket)
    socket.on("error", () => {})
    socket.pause()
    socket.write(bytes)
    return socket
  })
  const before = resident()
  await eventually(
    "the container has written it all",
    async () => {
      await Bun.sleep(100)
      const { body } = await rawRequest(engine.socket, "GET", `/containers/${id}/logs?stdout=1&tail=1`)
      return body.includes("end\n")
    },
    30_000,
  )
  for (let count = 0; count < 50; count++) await ok("rename", id, `name-${count}`)
  expect(resident() - before).toBeLessThan(90)
  expect(await ok("exec", id, "echo", "served")).toBe("served")
  for (const socket of stalled) socket.destroy()
  await ok("rm", "-f", id)
}, 60_000)

test("an attached client that stalls is the container's own brake, and its going away lets it run", async () => {
  const id = await ok(
    "create",
    "-i",
    "busybox",
    "sh",
    "-c",
    "yes | head -c 30000000; echo done > /done; sleep 1000",
  )
  const socket = connect(engine.socket)
  socket.on("error", () => {})
  socket.write(post(`/containers/${id}/attach?stream=1&stdout=1`, "", upgrade))
  await new Promise((resolve) => socket.once("data", resolve))
  socket.pause()
  const before = resident()
  await ok("start", id)
  await Bun.sleep(500)
  expect((await engine.docker("exec", id, "test", "-e", "/done")).code).toBe(1)
  expect(resident() - before).toBeLessThan(40)
  socket.destroy()
  await eventually(
    "it runs on",
    async () => (await engine.docker("exec", id, "test", "-e", "/done")).code === 0,
    20_000,
  )
  await ok("rm", "-f", id)
}, 60_000)

test("endless bodies and heads are cut off with little memory", async () => {
  const before = resident()
  const big = Buffer.alloc(64 << 20, 0x61)
  for (const path of [
    "/containers/create",
    "/volumes/create",
    "/containers/x/update",
    "/exec/x/start",
    "/containers/x/exec",
  ]) {
    const answer = await rawRequest(engine.socket, "POST", path, {
      body: big,
      headers: { "Content-Type": "application/json" },
    }).catch((error: Error) => error)
    // Refused while it was being sent, or read and thrown away.
    if (!(answer instanceof Error))
      expect([path, answer.status >= 400 && answer.status < 500]).toEqual([path, true])
  }
  const head = await rawRequest(engine.socket, "GET", `/${"a".repeat(200_000)}`).catch(
    (error: Error) => error,
  )
  if (!(head instanceof Error)) expect(head.status).toBeGreaterThanOrEqual(400)
  const header = await rawRequest(engine.socket, "GET", "/_ping", {
    headers: { "X-Long": "a".repeat(200_000) },
  }).catch((error: Error) => error)
  if (!(header instanceof Error)) expect(header.status).toBeGreaterThanOrEqual(400)
  expect(resident() - before).toBeLessThan(100)
  expect((await rawRequest(engine.socket, "GET", "/_ping")).body).toBe("OK")
}, 60_000)
