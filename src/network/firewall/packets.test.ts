// The firewall with real packets: published ports from everywhere, isolation, and every kind of network.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { compile } from "../../../test/fixtures/c-program.ts"
import {
  type FirewallGround,
  feed,
  HOST,
  HOST6,
  inside,
  networkOf,
  OUTSIDE,
  OUTSIDE6,
  openFirewallGround,
  peerSeen,
} from "../../../test/fixtures/firewall-ground.ts"
import type { PrivateNamespace } from "../../../test/fixtures/private-namespace.ts"
import { Firewall } from "./firewall.ts"
import type { GuardedNetwork, Publication } from "./guard.ts"

const front = networkOf("front", "10.71.0.0/24", "fd71::/64")
const back = networkOf("back", "10.72.0.0/24", "fd72::/64")
const shut: GuardedNetwork = { ...networkOf("shut", "10.73.0.0/24"), internal: true }
const apart: GuardedNetwork = { ...networkOf("apart", "10.74.0.0/24"), icc: false, trusted: [] }
const routed: GuardedNetwork = {
  ...networkOf("routed"),
  subnets: [
    { subnet: "10.75.0.0/24", mode: "routed", masquerade: true },
    { subnet: "fd75::/64", mode: "routed", masquerade: true },
  ],
}
const open: GuardedNetwork = {
  ...networkOf("open"),
  subnets: [{ subnet: "10.76.0.0/24", mode: "nat-unprotected", masquerade: true }],
}

const tcp = (hostAddress: string, hostPort: number, address: string, port: number): Publication => ({
  protocol: "tcp",
  hostAddress,
  hostPort,
  address,
  port,
})

// A way that is shut is found to be so by waiting.
setDefaultTimeout(60_000)
let ground: FirewallGround
let firewall: Firewall
let host: PrivateNamespace
let outside: PrivateNamespace
let web: PrivateNamespace
let neighbour: PrivateNamespace
let other: PrivateNamespace

beforeAll(async () => {
  ground = await openFirewallGround()
  ;({ host, outside } = ground)
  firewall = new Firewall(ground.kernel, "sloop")
  const networks = [front, back, shut, apart, routed, open]
  await firewall.rebuild(networks, [])
  for (const network of networks) await ground.addBridge(network)
  web = await ground.addContainer("front", "10.71.0.2/24", "fd71::2/64")
  neighbour = await ground.addContainer("front", "10.71.0.3/24", "fd71::3/64")
  other = await ground.addContainer("back", "10.72.0.2/24", "fd72::2/64")
  await ground.serve(web, 80, 9001, 9002)
  await ground.serve(outside, 8080)
  await ground.serve(other, 80)
  await firewall.publish([
    tcp("0.0.0.0", 8080, "10.71.0.2", 80),
    tcp("::", 8080, "fd71::2", 80),
    tcp(HOST, 8081, "10.71.0.2", 80),
    tcp(HOST6, 8081, "fd71::2", 80),
    tcp("127.0.0.1", 8082, "10.71.0.2", 80),
    { ...tcp("0.0.0.0", 9000, "10.71.0.2", 9000), count: 10 },
    { ...tcp("::", 9000, "fd71::2", 9000), count: 10 },
    { ...tcp("0.0.0.0", 7001, "10.71.0.2", 9001), count: 2 },
  ])
}, 60_000)
afterAll(async () => {
  await ground?.close()
})

test("another host reaches published ports, ranges included, and its address is kept", () => {
  for (const port of [8080, 8081, 9001, 9002, 7001, 7002])
    expect([port, peerSeen(outside, HOST, port)]).toEqual([port, OUTSIDE])
  for (const port of [8080, 8081, 9001, 9002])
    expect([port, peerSeen(outside, HOST6, port)]).toEqual([port, OUTSIDE6])
})

test("this host reaches them at each of its addresses, loopback of both families included", () => {
  expect(peerSeen(host, HOST, 8080)).toBe(HOST)
  expect(peerSeen(host, HOST6, 8080)).toBe(HOST6)
  expect(peerSeen(host, "10.72.0.1", 8080)).toBe("10.72.0.1")
  expect(peerSeen(host, "127.0.0.1", 8080)).toBe("10.71.0.1")
  expect(peerSeen(host, "127.0.0.1", 8082)).toBe("10.71.0.1")
  expect(peerSeen(host, "127.0.0.1", 9001)).toBe("10.71.0.1")
  expect(peerSeen(host, "::1", 8080)).toBe("fd71::1")
  expect(peerSeen(host, "::1", 9001)).toBe("fd71::1")
})

test("containers of other networks reach them with their own address", () => {
  expect(peerSeen(other, HOST, 8080)).toBe("10.72.0.2")
  expect(peerSeen(other, HOST6, 8080)).toBe("fd72::2")
  expect(peerSeen(other, "10.72.0.1", 9001)).toBe("10.72.0.2")
})

test("containers of the same network, the publisher too, reach them by way of this host", () => {
  for (const [from, address, seen] of [
    [neighbour, HOST, "10.71.0.1"],
    [neighbour, HOST6, "fd71::1"],
    [web, HOST, "10.71.0.1"],
    [web, "10.71.0.1", "10.71.0.1"],
    [web, "fd71::1", "fd71::1"],
  ] as const)
    expect(peerSeen(from, address, 8080)).toBe(seen)
})

test("a port published on this host's loopback is for this host alone, whatever others write on the wire", () => {
  expect(peerSeen(outside, HOST, 8082)).toBe("refused")
  expect(peerSeen(other, "10.72.0.1", 8082)).toBe("refused")
  for (const [from, way] of [
    [outside, HOST],
    [other, "10.72.0.1"],
  ] as const) {
    inside(from, "sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1")
    feed(from, `address delete 127.0.0.1/8 dev lo\nroute add 127.0.0.0/8 via ${way}\n`, "ip", "-batch", "-")
    expect(peerSeen(from, "127.0.0.1", 8082)).toBeUndefined()
  }
})

test("containers reach other hosts with this host's address, and each other with their own", () => {
  expect(peerSeen(web, OUTSIDE, 8080)).toBe(HOST)
  expect(peerSeen(web, OUTSIDE6, 8080)).toBe(HOST6)
  expect(peerSeen(neighbour, "10.71.0.2", 80)).toBe("10.71.0.3")
  expect(peerSeen(neighbour, "fd71::2", 80)).toBe("fd71::3")
})

test("a subnet's chosen source address is what other hosts see", async () => {
  feed(host, "address add 192.0.2.77/24 dev out\n", "ip", "-batch", "-")
  const [four, six] = front.subnets
  if (!four || !six) throw new Error("front has two subnets")
  await firewall.addNetwork({ ...front, subnets: [{ ...four, sourceAddress: "192.0.2.77" }, six] })
  expect(peerSeen(web, OUTSIDE, 8080)).toBe("192.0.2.77")
  await firewall.addNetwork(front)
  expect(peerSeen(web, OUTSIDE, 8080)).toBe(HOST)
})

test("networks do not reach each other, nor does another host that has a route reach a container", () => {
  expect(peerSeen(other, "10.71.0.2", 80)).toBeUndefined()
  expect(peerSeen(other, "fd71::2", 80)).toBeUndefined()
  expect(peerSeen(web, "10.72.0.2", 80)).toBeUndefined()
  expect(peerSeen(outside, "10.71.0.2", 80)).toBeUndefined()
  expect(peerSeen(outside, "fd71::2", 80)).toBeUndefined()
  expect(peerSeen(host, "10.71.0.2", 80)).toBe("10.71.0.1")
})

test("a container that is on the client's network too answers by way of this host", async () => {
  const both = await ground.addContainer("front", "10.71.0.9/24")
  ground.connect(both, "back", "eth1", "10.72.0.9/24")
  await ground.serve(both, 80)
  const publication = { ...tcp("0.0.0.0", 8090, "10.71.0.9", 80), otherSubnets: ["10.72.0.0/24"] }
  await firewall.publish([publication])
  expect(peerSeen(other, HOST, 8090)).toBe("10.71.0.1")
  expect(peerSeen(outside, HOST, 8090)).toBe(OUTSIDE)
  await firewall.unpublish([publication])
  expect(peerSeen(outside, HOST, 8090)).toBe("refused")
})

test("an internal network reaches nothing beyond its bridge, and nothing reaches it", async () => {
  const one = await ground.addContainer("shut", "10.73.0.2/24")
  const two = await ground.addContainer("shut", "10.73.0.3/24")
  await ground.serve(one, 80)
  await firewall.publish([tcp("0.0.0.0", 8073, "10.73.0.2", 80)])
  expect(peerSeen(two, "10.73.0.2", 80)).toBe("10.73.0.3")
  expect(peerSeen(two, OUTSIDE, 8080)).toBeUndefined()
  expect(peerSeen(two, "10.73.0.1", 8080)).toBeUndefined()
  expect(peerSeen(two, "10.72.0.2", 80)).toBeUndefined()
  for (const from of [outside, other]) expect(peerSeen(from, "10.73.0.2", 80)).toBeUndefined()
  expect(peerSeen(outside, HOST, 8073)).toBe("refused")
})

test("without icc containers reach each other by published ports alone", async () => {
  const one = await ground.addContainer("apart", "10.74.0.2/24")
  const two = await ground.addContainer("apart", "10.74.0.3/24")
  await ground.serve(one, 80)
  await firewall.publish([tcp("0.0.0.0", 8074, "10.74.0.2", 80)])
  expect(peerSeen(two, "10.74.0.2", 80)).toBeUndefined()
  // By way of the gateway, where the bridge itself does not keep them apart.
  feed(two, "route replace 10.74.0.2/32 via 10.74.0.1\n", "ip", "-batch", "-")
  expect(peerSeen(two, "10.74.0.2", 80)).toBeUndefined()
  expect(peerSeen(two, HOST, 8074)).toBe("10.74.0.1")
  expect(peerSeen(two, OUTSIDE, 8080)).toBe(HOST)
})

test("routed networks are reached at published ports by the container's own address, from everywhere", async () => {
  const one = await ground.addContainer("routed", "10.75.0.2/24", "fd75::2/64")
  await ground.serve(one, 80, 81)
  const published = [tcp("0.0.0.0", 8075, "10.75.0.2", 80), tcp("::", 8075, "fd75::2", 80)]
  await firewall.publish(published)
  expect(peerSeen(outside, "10.75.0.2", 80)).toBe(OUTSIDE)
  expect(peerSeen(outside, "fd75::2", 80)).toBe(OUTSIDE6)
  expect(peerSeen(neighbour, "10.75.0.2", 80)).toBe("10.71.0.3")
  expect(peerSeen(outside, "10.75.0.2", 81)).toBeUndefined()
  expect(peerSeen(neighbour, "10.75.0.2", 81)).toBeUndefined()
  expect(peerSeen(outside, HOST, 8075)).toBe("refused")
  // Nothing is translated on the way out either.
  expect(peerSeen(one, OUTSIDE, 8080)).toBe("10.75.0.2")
  expect(inside(outside, "busybox", "ping", "-c1", "-W1", "10.75.0.2")).toContain("1 packets received")
  await firewall.unpublish(published)
  expect(peerSeen(outside, "10.75.0.2", 80)).toBeUndefined()
})

test("nat-unprotected networks are reached at every port by whoever has a route, other networks excepted", async () => {
  const one = await ground.addContainer("open", "10.76.0.2/24")
  await ground.serve(one, 81)
  expect(peerSeen(outside, "10.76.0.2", 81)).toBe(OUTSIDE)
  expect(peerSeen(neighbour, "10.76.0.2", 81)).toBeUndefined()
  expect(peerSeen(one, OUTSIDE, 8080)).toBe(HOST)
})

test("a trusted interface reaches all containers of its network", async () => {
  await firewall.addNetwork({ ...front, trusted: ["out"] })
  expect(peerSeen(outside, "10.71.0.2", 80)).toBe(OUTSIDE)
  expect(peerSeen(outside, "10.72.0.2", 80)).toBeUndefined()
  await firewall.addNetwork(front)
  expect(peerSeen(outside, "10.71.0.2", 80)).toBeUndefined()
})

const words = async (from: ReadableStream<Uint8Array>, wanted: string): Promise<string> => {
  const reader = from.getReader()
  let text = ""
  for (const end = Date.now() + 9000; !text.includes(wanted) && Date.now() < end; ) {
    const { value, done } = await reader.read()
    if (done) break
    text += new TextDecoder().decode(value)
  }
  reader.releaseLock()
  return text
}
const enter = (where: PrivateNamespace, ...command: readonly string[]) =>
  Bun.spawn(["nsenter", `--net=${where.path}`, ...command], {
    stdout: "pipe",
    env: { ...process.env, BUN_BE_BUN: "1" },
  })

test(
  "udp ports are published to both families, and answers come from where they were asked",
  async () => {
    const script = (type: string, rest: string): string[] => [
      process.execPath,
      "-e",
      `const s = require("node:dgram").createSocket("${type}"); ${rest}`,
    ]
    const server = enter(
      web,
      ...script(
        "udp6",
        `s.on("message", (m, r) => s.send(r.address, r.port, r.address)); s.bind(53, "::", () => console.log("up"))`,
      ),
    )
    expect(await words(server.stdout, "up")).toBe("up\n")
    const publications = [
      { ...tcp("0.0.0.0", 5353, "10.71.0.2", 53), protocol: "udp" },
      { ...tcp("::", 5353, "fd71::2", 53), protocol: "udp" },
    ] as const
    await firewall.publish(publications)
    // Flows that began before are forgotten behind the caller's back.
    await firewall.settled()
    try {
      for (const [type, address, own] of [
        ["udp4", HOST, `::ffff:${OUTSIDE}`],
        ["udp6", HOST6, OUTSIDE6],
      ] as const) {
        // A client of its own for each try: a neighbour that is still being looked for may cost one its first seconds.
        const ask = () =>
          words(
            enter(
              outside,
              ...script(
                type,
                `s.on("message", (m, r) => { console.log(String(m), r.address, r.port); process.exit() });
               setInterval(() => s.send("hello", 5353, "${address}"), 100); setTimeout(process.exit, 3000)`,
              ),
            ).stdout,
            "\n",
          )
        let answer = ""
        for (let tries = 0; tries < 5 && answer === ""; tries++) answer = await ask()
        expect(answer).toBe(`${own} ${address} 5353\n`)
      }
    } finally {
      server.kill()
      await firewall.unpublish(publications)
    }
  },
  { timeout: 60_000, retry: 2 },
)

test("sctp is published as tcp is", async () => {
  const directory = compile(
    mkdtempSync(join(tmpdir(), "sloop-sctp-")),
    join(import.meta.dirname, "testfiles", "sctp-packets.c"),
  )
  const program = join(directory, "sctp-packets")
  const listener = enter(web, program, "hear", "3868")
  try {
    expect(await words(listener.stdout, "listening")).toBe("listening\n")
    const publication = { ...tcp("0.0.0.0", 13868, "10.71.0.2", 3868), protocol: "sctp" } as const
    await firewall.publish([publication])
    inside(outside, program, "send", HOST, "13868")
    expect(await words(listener.stdout, "\n")).toBe(`${OUTSIDE}\n`)
    await firewall.unpublish([publication])
  } finally {
    listener.kill()
    rmSync(directory, { recursive: true, force: true })
  }
})
