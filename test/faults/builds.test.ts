// Builds that no client would ask for, at every door, and hundreds that are given up: no 5xx, nothing changed, nothing left.
import { afterAll, expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { connect } from "node:net"
import { eventually, startEngine } from "../fixtures/engine.ts"
import { type RawRequest, rawRequest } from "../fixtures/raw-request.ts"
import { bad, type Json, variants } from "./variants.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { ok } = engine
await ok("create", "--name", "made", "-v", "kept:/v", "busybox", "true")
await ok("tag", "busybox", "kept:1")

const listing = () =>
  Promise.all([
    ok("ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.State}}"),
    ok("images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"),
    ok("volume", "ls", "-q"),
    ok("network", "ls", "-q"),
  ])
const untouched = await listing()

const archive = async (files: Readonly<Record<string, string>>): Promise<Uint8Array> =>
  new Bun.Archive(files).bytes()
const scratch = await archive({ Dockerfile: "FROM scratch\nARG A\nLABEL a=$A\n" })
const tar = { "Content-Type": "application/x-tar" }

const complaints: string[] = []
/** Notes what is wrong with an answer; the stream of a build that failed is as good as a refusal. */
const send = async (method: string, path: string, request: RawRequest = {}): Promise<number> => {
  const { status, body } = await rawRequest(engine.socket, method, path, {
    timeout: 10_000,
    ...request,
  }).catch((error: Error) => ({ status: 599, body: error.message }))
  const failed = status >= 400 || body.includes('"error"')
  if (status >= 500 || (failed && bad.test(body)) || (status >= 400 && !/"message":"./.test(body)))
    complaints.push(
      `${method} ${path.slice(0, 200)} ${String(request.body).slice(0, 200)}: ${status} ${body.slice(0, 300).trim()}`,
    )
  return status
}
const noComplaints = () => expect(complaints.splice(0).slice(0, 12)).toEqual([])

const times = async (count: number, atOnce: number, work: (index: number) => Promise<unknown>) => {
  let next = 0
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (next < count) await work(next++)
    }),
  )
}

const each = async <T>(values: Iterable<T>, work: (value: T) => Promise<unknown>) => {
  const queue = values[Symbol.iterator]()
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      for (let next = queue.next(); next.done !== true; next = queue.next()) await work(next.value)
    }),
  )
}

const odd = [
  "",
  "0",
  "-1",
  "1e309",
  "9".repeat(40),
  "0x10",
  "null",
  "true",
  "[]",
  "{}",
  '{"a":["b"]}',
  '[{"Name":"nofile","Soft":-5}]',
  '[{"Name":7}]',
  "../../etc/passwd",
  "/etc/passwd",
  "a\0b",
  "\u202e💥",
  "a".repeat(20_000),
]
const parameters = [
  ...["t", "dockerfile", "buildargs", "labels", "target", "platform", "networkmode", "shmsize", "ulimits"],
  ...["memory", "memswap", "cpushares", "cpuquota", "cpuperiod", "cpusetcpus", "cpusetmems", "cachefrom"],
  ...["extrahosts", "cgroupparent", "isolation", "securityopt", "squash", "nocache", "pull", "rm", "forcerm"],
  ...["q", "version", "buildid", "session", "outputs"],
]

test("POST /build with each parameter wrong", async () => {
  const requests = parameters.flatMap((name) => odd.map((value) => [name, value] as const))
  await each(requests, async ([name, value]) => {
    const query = `${name}=${encodeURIComponent(value)}${name === "t" ? "" : "&q=1"}`
    await send("POST", `/build?${query}`, { body: scratch, headers: tar })
  })
  // Addresses are refused before anybody is asked for them.
  for (const remote of ["/etc", "file:///etc", "client-session", "a b", "-x", "ext::sh -c id"])
    expect([remote, await send("POST", `/build?remote=${encodeURIComponent(remote)}`)]).toEqual([remote, 400])
  noComplaints()
}, 120_000)

test("POST /build with headers and contexts that are none", async () => {
  const headers = [
    "",
    "{",
    "e30=",
    "W10=",
    "bnVsbA==",
    "\xff\xfe",
    "eyJhIjp7InVzZXJuYW1lIjo3fX0=",
    "A".repeat(60_000),
  ]
  for (const value of headers)
    await send("POST", "/build", { body: scratch, headers: { ...tar, "X-Registry-Config": value } })
  const files: Readonly<Record<string, string>>[] = [
    {},
    { Dockerfile: "" },
    { Dockerfile: "\0\0\0" },
    { Dockerfile: "FROM" },
    { Dockerfile: "NOPE x" },
    { Dockerfile: "FROM scratch\nCOPY nowhere /\n" },
    { Dockerfile: "FROM scratch\nCOPY ../../../etc/passwd /\n" },
    { Dockerfile: "FROM scratch AS a\nFROM a AS a\nCOPY --from=c/../d / /\n" },
    { Dockerfile: `FROM scratch\n${"RUN ".repeat(20_000)}` },
    { Dockerfile: `FROM scratch\nENV A=${"$A".repeat(5000)}\n` },
    { Dockerfile: "FROM busybox\nUSER nobody:at:all\nRUN true\n" },
    { Dockerfile: "FROM busybox\nWORKDIR /proc/self/root/../..\nRUN exit 7\n" },
    { Dockerfile: "FROM $A$B\n" },
    { Dockerfile: "FROM scratch\nCOPY a\0b /\n" },
    { Dockerfile: "FROM busybox\nCOPY --from=0 a\0b /\n" },
    { Dockerfile: "FROM busybox\nWORKDIR a\0b\nUSER a\0b\nRUN a\0b\n" },
    { Dockerfile: "# syntax=\nFROM scratch\n" },
    { Dockerfile: "FROM scratch\nADD --checksum=zz https:///x /\n" },
    { Dockerfile: "FROM scratch\nRUN --mount=type=nope true\n" },
    { Dockerfile: "FROM scratch\nHEALTHCHECK --interval=-5s CMD x\nSTOPSIGNAL NOPE\nEXPOSE x/y\n" },
    { ".dockerignore": "[\n!!\n**/**/**\n", Dockerfile: "FROM scratch\nCOPY . /\n" },
  ]
  for (const one of files) await send("POST", "/build?q=1", { body: await archive(one), headers: tar })
  const bodies = [
    "",
    "x",
    Buffer.alloc(1024, 0xff),
    scratch.subarray(0, 700),
    Buffer.from([0x1f, 0x8b, 8, 0]),
  ]
  for (const body of bodies)
    for (const type of ["application/x-tar", "text/plain", "application/octet-stream"])
      await send("POST", "/build?q=1", { body, headers: { "Content-Type": type } })
  noComplaints()
}, 60_000)

const document = (type: Json): Json => ({
  Id: "",
  Context: { Type: type, Path: "/nonexistent", Device: "1", Inode: "1", Boot: "x" },
  Dockerfile: "FROM scratch\n",
  DockerfilePath: "Dockerfile",
  Contexts: { base: { Type: "image", Reference: "busybox" } },
  Target: "",
  BuildArgs: { A: "1" },
  Labels: { a: "b" },
  Platforms: ["linux/amd64"],
  NoCacheFilter: ["a"],
  ExtraHosts: ["a:1.2.3.4"],
  Network: "none",
  ShmSize: 65_536,
  Ulimits: [{ Name: "nofile", Soft: 10, Hard: 20 }],
  CgroupParent: "",
  Memory: 0,
  CpuShares: 0,
  CpusetCpus: "0",
  Entitlements: [],
  Secrets: [],
  Ssh: [],
  CacheFrom: [{ Type: "inline", Attributes: {} }],
  CacheTo: [{ Type: "inline", Attributes: {} }],
  Outputs: [{ Type: "cacheonly", Attributes: {} }],
  Attestations: { provenance: { mode: "min" } },
  Squash: false,
  Call: "check",
})

test("POST /builds with each field wrong, and its other doors", async () => {
  await each(variants(document("empty")), (variant) =>
    send("POST", "/builds", { body: JSON.stringify(variant) }),
  )
  for (const type of ["layout", "image", "nope"])
    await send("POST", "/builds", { body: JSON.stringify(document(type)) })
  for (const id of ["nobody", "..%2f..", "%00", "x".repeat(3000)]) {
    expect(await send("DELETE", `/builds/${id}`)).toBe(404)
    for (const number of ["1", "-1", "1e9", "x"]) {
      expect(await send("GET", `/builds/${id}/asked/${number}`)).toBe(404)
      expect(await send("POST", `/builds/${id}/asked/${number}`, { body: "x" })).toBe(404)
    }
  }
  noComplaints()
}, 120_000)

test("prune and cancel with odd filters, /grpc and /session without what they need", async () => {
  for (const value of odd) {
    const text = encodeURIComponent(value)
    await send("POST", `/build/cancel?id=${text}`)
    for (const name of ["keep-storage", "reserved-space", "max-used-space", "min-free-space", "filters"])
      await send("POST", `/build/prune?${name}=${text}`)
    const filters = encodeURIComponent(JSON.stringify({ until: [value], type: [value], id: [value] }))
    await send("POST", `/build/prune?filters=${filters}`)
  }
  for (const path of ["/grpc", "/session"]) {
    expect(await send("POST", path, { body: "{}" })).toBe(400)
    for (const value of ["x", "a".repeat(40_000), "\u00ff"])
      await send("POST", path, {
        body: "x",
        headers: { "X-Docker-Expose-Session-Uuid": value, "X-Docker-Expose-Session-Grpc-Method": value },
      })
  }
  noComplaints()
}, 60_000)

test("nothing has changed, but for images that were rightly built", async () => {
  const [containers, images, ...rest] = await listing()
  const [containersBefore, imagesBefore, ...restBefore] = untouched
  expect([containers, ...rest]).toEqual([containersBefore, ...restBefore])
  expect((images ?? "").split("\n")).toEqual(expect.arrayContaining((imagesBefore ?? "").split("\n")))
})

const descriptors = (): number => readdirSync(`/proc/${engine.pid()}/fd`).length
const resident = (): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${engine.pid()}/status`, "utf8"))?.[1]) / 1024
const mounted = (): string[] =>
  readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(engine.root))

test("hundreds of builds whose clients vanish leave descriptors, memory, mounts and files where they were", async () => {
  const steps = await archive({ Dockerfile: "FROM busybox\nARG N\nRUN echo $N; sleep 100\n" })
  const head = (query: string, length: number) =>
    `POST /build?${query} HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\nContent-Length: ${length}\r\n\r\n`
  /** Sends, waits for what tells how far the build is, and is gone. */
  const vanish = (bytes: Uint8Array, until: string | number): Promise<void> =>
    new Promise((resolve) => {
      const socket = connect(engine.socket)
      let text = ""
      const end = () => {
        clearTimeout(timer)
        socket.destroy()
        resolve()
      }
      const timer = setTimeout(end, typeof until === "number" ? until : 10_000)
      socket.on("error", end)
      socket.on("close", end)
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1")
        if (typeof until === "string" && text.includes(until)) end()
      })
      socket.write(bytes)
    })
  const own = (index: number) => {
    const body = JSON.stringify({
      Context: { Type: "sent" },
      Id: `given-up-${process.pid}-${index}-${Date.now()}`,
    })
    return Buffer.from(
      `POST /builds HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    )
  }
  const volley = (count: number, from: number) =>
    times(count, 8, async (index) => {
      const query = `q=0&nocache=1&buildargs=${encodeURIComponent(JSON.stringify({ N: String(from + index) }))}`
      const whole = Buffer.concat([Buffer.from(head(query, steps.length)), steps])
      await vanish(whole.subarray(0, whole.length - 900), index % 7)
      await vanish(whole, "Step 1")
      await vanish(own(from + index), "ask")
      if (index % 8 === 0) await vanish(whole, "Running in")
    })
  const quiet = async () => {
    await eventually(
      "no build runs",
      async () =>
        !JSON.parse((await rawRequest(engine.socket, "GET", "/builds")).body).some(
          ({ Status }: { Status: string }) => Status === "running",
        ),
      30_000,
    )
  }
  await volley(40, 0)
  await quiet()
  await Bun.sleep(500)
  const [openBefore, memoryBefore, mountsBefore] = [descriptors(), resident(), mounted().length]
  await volley(Number(process.env.ABORTED_BUILDS ?? 240), 1000)
  await quiet()
  await eventually(
    `descriptors are closed (${openBefore} before)`,
    () => descriptors() <= openBefore + 3,
    15_000,
  )
  await eventually(`mounts are gone (${mountsBefore} before)`, () => mounted().length <= mountsBefore, 15_000)
  await eventually(`memory is flat (${memoryBefore} MB before)`, () => resident() < memoryBefore + 30, 20_000)
  expect((await send("GET", "/_ping")) === 200).toBe(true)
  expect(await ok("ps", "-aq")).toBe((await ok("ps", "-aq", "--filter", "name=made")) as string)
}, 180_000)
