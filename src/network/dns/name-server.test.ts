// The name server behind real monitors: dig inside containers' namespaces, upstream servers on this host's loopback.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { spawn } from "node:child_process"
import { createSocket, type Socket as Datagrams } from "node:dgram"
import { createServer, type Server } from "node:net"
import { join } from "node:path"
import { type Answer, decode, encode } from "dns-packet"
import { ask, startLauncher, type TestLauncher } from "../../../launcher/test/client.ts"
import { type Monitored, shell } from "../../../launcher/test/monitored.ts"
import { execute } from "../../../test/fixtures/engine.ts"
import { testLauncher } from "../../../test/fixtures/launcher-kernel.ts"
import { type NameServer, nameServer } from "./name-server.ts"
import { redirectOperations } from "./redirect.ts"

let launcher: TestLauncher
let server: NameServer
const containers: { readonly name: string; readonly monitored: Monitored; readonly pid: number }[] = []
const upstreamAddress = `127.53.${process.pid % 250}.1`
const deadAddress = `127.53.${process.pid % 250}.2`
let hostServers = [upstreamAddress]
const upstreams: (Datagrams | Server)[] = []
const heard: string[] = []

const container = async (name: string): Promise<number> => {
  const made = await ask(launcher.socket, [["netns-create"], ["name", name], ...redirectOperations()])
  expect(made.kind).toBe("ok")
  const monitored = await shell(launcher, "sleep 1000", {
    extra: [
      ["namespace", "network", `held:${name}`],
      ["name-relay", server.path, name],
    ],
  })
  const pid = await monitored.started()
  containers.push({ name, monitored, pid })
  return pid
}

const dig = async (pid: number, ...words: string[]): Promise<string> => {
  const { stdout } = await execute([
    "nsenter",
    `--net=/proc/${pid}/ns/net`,
    "dig",
    "@127.0.0.11",
    "+tries=1",
    ...words,
  ])
  return stdout.trim()
}

/** What the upstream server says: big.test fills 2,000 bytes, gone.test does not exist, slow.test is lost once. */
const upstreamAnswer = (bytes: Buffer, tcp: boolean): Buffer | undefined => {
  const query = decode(bytes)
  const [question] = query.questions ?? []
  const name = question?.name ?? ""
  heard.push(`${tcp ? "tcp" : "udp"} ${name.toLowerCase()}`)
  const count = name.toLowerCase() === "big.test" ? 125 : 1
  const answers: Answer[] = Array.from({ length: count }, (_, n) => ({
    type: "A",
    name,
    ttl: 60,
    data: `192.0.2.${n}`,
  }))
  const gone = name === "gone.test"
  const soa = {
    mname: "ns.test",
    rname: "root.test",
    serial: 1,
    refresh: 1,
    retry: 1,
    expire: 1,
    minimum: 30,
  }
  const truncated = count > 1 && !tcp
  const whole = encode({
    type: "response",
    id: query.id ?? 0,
    flags: 0x180 | (truncated ? 0x200 : 0) | (gone ? 3 : name === "bad.test" ? 2 : 0),
    questions: query.questions ?? [],
    answers: gone || truncated || name === "bad.test" ? [] : answers,
    authorities: gone ? [{ type: "SOA", name: "test", ttl: 300, data: soa }] : [],
  })
  return whole
}

const openUpstream = async (address: string, answering: boolean): Promise<void> => {
  const datagrams = createSocket("udp4").on("message", (bytes, from) => {
    const answer = answering ? upstreamAnswer(bytes, false) : undefined
    if (answer) datagrams.send(answer, from.port, from.address)
  })
  await new Promise<void>((resolve) => datagrams.bind(53, address, resolve))
  const streams = createServer((socket) =>
    socket.on("data", (bytes: Buffer) => {
      const answer = upstreamAnswer(bytes.subarray(2), true)
      const head = Buffer.alloc(2)
      head.writeUInt16BE(answer?.length ?? 0)
      if (answer) socket.write(Buffer.concat([head, answer]))
    }),
  )
  await new Promise<void>((resolve) => streams.listen(53, address, resolve))
  upstreams.push(datagrams, streams)
}

let web = 0
let inner = 0
beforeAll(async () => {
  launcher = await startLauncher(testLauncher())
  await openUpstream(upstreamAddress, true)
  await openUpstream(deadAddress, false)
  server = nameServer({ path: join(launcher.directory, "names.sock"), hostServers: () => hostServers })
  const place = { networkId: "1", networkName: "front", internal: false }
  server.put({ ...place, containerId: "web", names: ["web", "www"], ipv4: "10.0.0.2", ipv6: "fd00::2" })
  server.put({
    ...place,
    networkId: "2",
    networkName: "back",
    internal: true,
    containerId: "inner",
    names: ["inner"],
  })
  for (let n = 0; n < 100; n++)
    server.put({ ...place, containerId: `m${n}`, names: ["many"], ipv4: `10.0.1.${n}` })
  await server.open()
  web = await container("web")
  inner = await container("inner")
}, 30_000)
afterAll(async () => {
  for (const { monitored, name } of containers) {
    await monitored.ask([["signal"], ["number", 9]])
    await monitored.ended()
    await ask(launcher.socket, [["netns-drop"], ["name", name]])
  }
  await server.close()
  for (const one of upstreams) one.close()
  await launcher[Symbol.asyncDispose]()
})

test("dig by UDP and by TCP, in both families, backwards", async () => {
  expect(await dig(web, "+short", "web")).toBe("10.0.0.2")
  expect(await dig(web, "+short", "+tcp", "WWW.front")).toBe("10.0.0.2")
  expect(await dig(web, "+short", "AAAA", "web")).toBe("fd00::2")
  expect(await dig(web, "+short", "-x", "10.0.0.2")).toBe("web.front.")
  expect(await dig(web, "+short", "-x", "fd00::2")).toBe("web.front.")
})

test("dig sees no warning: header, question, EDNS and answer are in order", async () => {
  const text = await dig(web, "web")
  expect(text).toContain("status: NOERROR")
  expect(text).toMatch(/^web\.\t+600\tIN\tA\t10\.0\.0\.2$/m)
  expect(text).toContain("EDNS: version: 0")
  expect(text).not.toMatch(/WARNING|Warning|mismatch/)
})

test("a long answer is truncated by UDP, and the client gets it by TCP", async () => {
  expect(
    (await dig(web, "+short", "+noedns", "many")).split("\n").filter((line) => line !== ""),
  ).toHaveLength(100)
  expect(await dig(web, "+noedns", "+ignore", "many")).toContain("flags: qr tc rd ra")
})

test("other names are asked of the host's servers, once while their answers live", async () => {
  heard.length = 0
  expect(await dig(web, "+short", "one.test")).toBe("192.0.2.0")
  expect(await dig(web, "+short", "ONE.test")).toBe("192.0.2.0")
  expect(heard).toEqual(["udp one.test"])
  expect(await dig(web, "ONE.test")).toMatch(
    /^;ONE\.test\.[\s\S]*^one\.test\.\s+(60|59|58)\s+IN\s+A\s+192\.0\.2\.0$/m,
  )
})

test("names that do not exist are remembered too", async () => {
  heard.length = 0
  for (let n = 0; n < 2; n++) expect(await dig(web, "gone.test")).toContain("status: NXDOMAIN")
  expect(heard).toEqual(["udp gone.test"])
})

test("a truncated upstream answer is fetched by TCP", async () => {
  heard.length = 0
  expect((await dig(web, "+short", "big.test")).split("\n").filter((line) => line !== "")).toHaveLength(125)
  expect(heard).toEqual(["udp big.test", "tcp big.test"])
})

test("nothing leaves an internal network", async () => {
  heard.length = 0
  expect(await dig(inner, "secret.example.test")).toContain("status: SERVFAIL")
  expect(await dig(inner, "+tcp", "TXT", "secret.example.test")).toContain("status: SERVFAIL")
  expect(heard).toEqual([])
})

test("a server that is silent delays the first question only", async () => {
  hostServers = [deadAddress, upstreamAddress]
  const first = performance.now()
  expect(await dig(web, "+short", "two.test")).toBe("192.0.2.0")
  expect(performance.now() - first).toBeGreaterThan(1000)
  const second = performance.now()
  expect(await dig(web, "+short", "three.test")).toBe("192.0.2.0")
  expect(performance.now() - second).toBeLessThan(1000)
  hostServers = [upstreamAddress]
})

test("a server that fails leads to SERVFAIL, one that is not there too", async () => {
  expect(await dig(web, "bad.test")).toContain("status: SERVFAIL")
  hostServers = ["127.53.253.253"]
  expect(await dig(web, "four.test")).toContain("status: SERVFAIL")
  hostServers = [upstreamAddress]
})

test("--dns 127.0.0.1 is a name server in the container itself; its answers stay there", async () => {
  heard.length = 0
  const script = `
const { createSocket } = require("node:dgram")
const own = createSocket("udp4").on("message", (bytes, from) => {
  const answer = Buffer.concat([bytes.subarray(0, bytes.indexOf(0, 12) + 5), Buffer.from("c00c000100010000003c0004c6336401", "hex")])
  answer.writeUInt16BE(0x8180, 2); answer.writeUInt16BE(1, 6); answer.writeUInt16BE(0, 10)
  own.send(answer, from.port, from.address)
})
own.bind(53, "127.0.0.1", () => console.log("ready"))`
  const child = spawn("nsenter", [`--net=/proc/${web}/ns/net`, process.execPath, "-e", script])
  await new Promise((resolve) => child.stdout.once("data", resolve))
  server.setUpstream("web", { servers: ["127.0.0.1"], ndotsSet: false })
  for (let n = 0; n < 2; n++) expect(await dig(web, "+short", "inside.test")).toBe("198.51.100.1")
  expect(await dig(web, "+short", "+tcp", "inside.test")).toBe("198.51.100.1")
  server.setUpstream("web", { servers: [], ndotsSet: false })
  expect(await dig(web, "+short", "inside.test")).toBe("192.0.2.0")
  expect(heard).toEqual(["udp inside.test"])
  child.kill()
  server.setUpstream("web", { servers: ["127.0.0.1", upstreamAddress], ndotsSet: false })
  expect(await dig(web, "+timeout=14", "nobody.test")).toContain("status: SERVFAIL")
  server.setUpstream("web", { servers: ["127.0.0.11"], ndotsSet: false })
  expect(await dig(web, "+short", "again.test")).toBe("192.0.2.0")
  server.setUpstream("web", { servers: [], ndotsSet: false })
}, 30_000)

test("a question waits for the server's return", async () => {
  await server.close()
  const asked = dig(web, "+short", "web")
  await Bun.sleep(200)
  await server.open()
  const since = performance.now()
  expect(await asked).toBe("10.0.0.2")
  expect(performance.now() - since).toBeLessThan(150)
})
