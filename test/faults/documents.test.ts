// Every document that a client may send, with each of its fields wrong in turn, and every route with odd names: never a 5xx.
import { afterAll, expect, test } from "bun:test"
import { connect } from "node:net"
import { routeTable } from "../../src/api/api.ts"
import { createFakeBuilder } from "../api/fake-builder.ts"
import { createFakeEngine } from "../api/fake-engine.ts"
import { eventually, startEngine } from "../fixtures/engine.ts"
import { rawRequest } from "../fixtures/raw-request.ts"
import { bad, type Json, variants } from "./variants.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { ok } = engine
await ok("create", "--name", "made", "busybox", "true")
await ok("run", "-d", "--name", "runs", "busybox", "sleep", "100000")
await ok("network", "create", "net")

/** Right documents, with every field that the engine reads. */
const documents: Readonly<Record<string, Json>> = {
  "/containers/create?name=fuzzed": {
    Image: "busybox",
    Hostname: "h",
    Domainname: "d",
    User: "0",
    AttachStdin: false,
    ExposedPorts: { "80/tcp": {} },
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    Env: ["A=1"],
    Cmd: ["true"],
    Entrypoint: ["sh"],
    Volumes: { "/v": {} },
    WorkingDir: "/w",
    Labels: { a: "b" },
    StopSignal: "SIGTERM",
    StopTimeout: 1,
    Shell: ["sh"],
    Healthcheck: {
      Test: ["CMD", "true"],
      Interval: 1e9,
      Timeout: 1e9,
      Retries: 1,
      StartPeriod: 0,
      StartInterval: 0,
    },
    HostConfig: {
      Binds: ["vol:/b"],
      LogConfig: { Type: "json-file", Config: { "max-size": "1m" } },
      NetworkMode: "bridge",
      PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "0" }] },
      RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
      AutoRemove: false,
      VolumesFrom: [],
      ConsoleSize: [24, 80],
      Annotations: { a: "b" },
      CapAdd: ["NET_ADMIN"],
      CapDrop: ["CHOWN"],
      CgroupnsMode: "private",
      Dns: ["1.1.1.1"],
      DnsOptions: ["a"],
      DnsSearch: ["b"],
      ExtraHosts: ["a:1.2.3.4"],
      GroupAdd: ["1"],
      IpcMode: "private",
      Links: [],
      OomScoreAdj: 0,
      PidMode: "",
      Privileged: false,
      PublishAllPorts: false,
      ReadonlyRootfs: false,
      SecurityOpt: ["no-new-privileges"],
      StorageOpt: {},
      Tmpfs: { "/t": "size=1m" },
      UTSMode: "",
      UsernsMode: "",
      ShmSize: 65_536,
      Sysctls: { "net.ipv4.ip_forward": "1" },
      Runtime: "runc",
      CpuShares: 2,
      Memory: 67_108_864,
      NanoCpus: 1,
      CpusetCpus: "0",
      CpusetMems: "0",
      Devices: [{ PathOnHost: "/dev/null", PathInContainer: "/dev/n", CgroupPermissions: "r" }],
      DeviceCgroupRules: ["c 1:3 r"],
      MemoryReservation: 0,
      MemorySwap: -1,
      PidsLimit: 10,
      Ulimits: [{ Name: "nofile", Soft: 10, Hard: 20 }],
      Mounts: [
        {
          Type: "volume",
          Source: "vol",
          Target: "/m",
          ReadOnly: true,
          VolumeOptions: { NoCopy: true, Labels: { a: "b" } },
        },
        { Type: "tmpfs", Target: "/x", TmpfsOptions: { SizeBytes: 4096, Mode: 448 } },
      ],
      MaskedPaths: ["/proc/kcore"],
      ReadonlyPaths: ["/proc/sys"],
      Init: true,
    },
    NetworkingConfig: {
      EndpointsConfig: {
        bridge: {
          IPAMConfig: { IPv4Address: "" },
          Aliases: [],
          DriverOpts: {},
          MacAddress: "",
          GwPriority: 0,
        },
      },
    },
  },
  "/containers/made/update": {
    CpuShares: 3,
    Memory: 67_108_864,
    MemorySwap: -1,
    PidsLimit: 5,
    BlkioWeight: 0,
    RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
  },
  "/containers/runs/exec": {
    Cmd: ["true"],
    Env: ["A=1"],
    User: "0",
    WorkingDir: "/",
    Tty: false,
    Privileged: false,
    AttachStdin: false,
    AttachStdout: true,
    AttachStderr: true,
    DetachKeys: "ctrl-a",
    ConsoleSize: [1, 2],
  },
  "/volumes/create": { Name: "fuzzed", Driver: "local", DriverOpts: {}, Labels: { a: "b" } },
  "/networks/create": {
    Name: "fuzzed",
    Driver: "bridge",
    Internal: true,
    Attachable: false,
    EnableIPv6: false,
    IPAM: {
      Driver: "default",
      Config: [{ Subnet: "10.213.7.0/24", IPRange: "10.213.7.128/25", Gateway: "10.213.7.1" }],
      Options: {},
    },
    Options: { "com.docker.network.bridge.enable_icc": "true" },
    Labels: { a: "b" },
  },
  "/networks/net/connect": {
    Container: "made",
    EndpointConfig: {
      IPAMConfig: { IPv4Address: "" },
      Aliases: ["a"],
      Links: [],
      DriverOpts: {},
      MacAddress: "",
    },
  },
  "/networks/net/disconnect": { Container: "made", Force: true },
  "/commit?container=nobody": { Cmd: ["x"], Labels: { a: "b" }, Env: ["A=1"] },
}

const clear = async () => {
  await rawRequest(engine.socket, "DELETE", "/containers/fuzzed?force=1&v=1")
  await rawRequest(engine.socket, "DELETE", "/networks/fuzzed")
  await rawRequest(engine.socket, "DELETE", "/volumes/fuzzed?force=1")
}

test.each(Object.keys(documents))(
  "POST %s with each field wrong: an answer, never a 5xx",
  async (path) => {
    const complaints: string[] = []
    let count = 0
    const queue = variants(documents[path] ?? null)
    const worker = async () => {
      for (const variant of queue) {
        count++
        const body = JSON.stringify(variant)
        const { status, body: text } = await rawRequest(engine.socket, "POST", path, { body }).catch(
          (error: Error) => ({
            status: 599,
            body: error.message,
          }),
        )
        if ((status >= 500 && status !== 501) || (status >= 400 && bad.test(text)))
          complaints.push(`${status} ${text.slice(0, 200).trim()} for ${body.slice(0, 300)}`)
        if (status < 300) await clear()
      }
    }
    await Promise.all(Array.from({ length: 4 }, worker))
    expect(count).toBeGreaterThan(20)
    expect(complaints.slice(0, 10)).toEqual([])
  },
  60_000,
)

test("every route with odd names, without a body and with one that it does not expect", async () => {
  const routes = routeTable(createFakeEngine(), createFakeBuilder())
  const asksRegistry = /^\/(auth|distribution|images\/(create|search)|images\/.*\/push)/
  const names = [
    "nobody",
    "..%2f..%2fetc",
    "%2e%2e",
    "%F0%9F%92%A9",
    "a%00b",
    "%ff%fe",
    "%",
    "x".repeat(5000),
    "sha256:zz",
    "-",
    ":",
  ]
  const complaints: string[] = []
  for (const { method, path } of routes) {
    if (asksRegistry.test(path) || /^\/events|prune/.test(path)) continue
    for (const name of path.includes(":") ? names : ["-"]) {
      const filled = path.replace(/:\w+\+?/g, name)
      for (const body of method === "GET" || method === "HEAD" ? [undefined] : [undefined, "not { json"]) {
        if (/^\/(volumes|networks|containers)\/create/.test(path) && body === undefined) continue
        const answer = await rawRequest(
          engine.socket,
          method,
          filled,
          body === undefined ? {} : { body },
        ).catch((error: Error) => ({ status: 599, body: error.message }))
        const { status, body: text } = answer
        const known = status === 501 || (status === 503 && text.includes("swarm"))
        if ((status >= 500 && !known) || (status >= 400 && bad.test(text)))
          complaints.push(`${method} ${filled.slice(0, 80)}: ${status} ${text.slice(0, 200)}`)
      }
    }
  }
  expect(complaints).toEqual([])
}, 60_000)

/** Everything that the engine answers to these bytes, after which the client has nothing more to say. */
const exchange = (bytes: string | Uint8Array, end = true): Promise<string> =>
  new Promise((resolve) => {
    const client = connect({ path: engine.socket, allowHalfOpen: true })
    let text = ""
    const done = () => {
      clearTimeout(timer)
      client.destroy()
      resolve(text)
    }
    const timer = setTimeout(done, 3000)
    client.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1")
    })
    client.on("end", done)
    client.on("error", done)
    client.write(bytes)
    if (end) client.end()
  })

test("pipelined, half-open, unannounced and endless: each client has its answers, the engine lives on", async () => {
  const ping = "GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n"
  const last = "GET /nothing HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n"
  const many = await exchange(ping.repeat(50) + last, false)
  expect(many.split("HTTP/1.1 200 OK\r\n").length).toBe(51)
  expect(many).toContain("HTTP/1.1 404")
  // A client that half-closed has its answer all the same.
  expect(await exchange(last)).toStartWith("HTTP/1.1 404")
  // A body that nobody announced is the next request, and none.
  expect(await exchange(`${ping}{"not":"announced"}\r\n\r\n`)).toContain("HTTP/1.1 400")
  expect(await exchange("\0\x01\x02\x03\r\n\r\n")).toContain("400")
  expect(await exchange(`GET /_ping HTTP/1.1\r\nHost: d\r\nX: ${"a".repeat(1 << 20)}\r\n\r\n`)).not.toContain(
    " 200 OK",
  )
  expect(
    await exchange(
      `POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Length: 1\r\nContent-Length: 9\r\n\r\n{}`,
    ),
  ).not.toContain(" 201 ")
  expect(
    await exchange(
      `POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"Image"`,
    ),
  ).not.toContain(" 201 ")
  // Torn into bytes, with pauses.
  const slow = connect(engine.socket)
  let text = ""
  slow.on("data", (chunk: Buffer) => {
    text += chunk
  })
  for (const byte of ping) {
    slow.write(byte)
    await Bun.sleep(1)
  }
  await eventually("the slow client is answered", () => text.endsWith("OK"))
  slow.destroy()
  expect((await rawRequest(engine.socket, "GET", "/_ping")).body).toBe("OK")
}, 60_000)

test("nothing changed", async () => {
  await clear()
  expect((await ok("ps", "-a", "--format", "{{.Names}}")).split("\n").sort()).toEqual(["made", "runs"])
  expect(await ok("inspect", "-f", "{{.State.Status}}", "runs")).toBe("running")
  expect(await ok("images", "--format", "{{.Repository}}")).toBe("busybox")
  expect(await ok("exec", "runs", "echo", "served")).toBe("served")
  const log = engine.daemonLog()
  expect(
    log.split("\n").filter((line) => /a request failed|was not caught|was not handled/.test(line)),
  ).toEqual([])
  for (const name of (await ok("volume", "ls", "-q")).split("\n").filter(Boolean))
    await engine.docker("volume", "rm", name)
  const networks = (await ok("network", "ls", "--format", "{{.Name}}")).split("\n")
  for (const name of networks)
    if (!["bridge", "host", "none"].includes(name)) await engine.docker("network", "rm", "-f", name)
})
