// User-defined networks against the real kernel: made, joined, connected, disconnected and removed.
import { afterEach, expect, test } from "bun:test"
import type { Ground } from "../../test/fixtures/network-ground.ts"
import { openGround, peerSeenBy, run, somePort } from "../../test/fixtures/network-ground.ts"
import {
  failed,
  joining,
  network,
  on,
  placeOfLiving as placeOf,
  sleepers,
  until,
  withPools,
} from "../../test/fixtures/network-requests.ts"
import type { NetworkCreate, Networks } from "./network.ts"

const grounds: Ground[] = []
const inits = sleepers()
const opened = async (...options: Parameters<typeof openGround>): Promise<Ground> => {
  const ground = await openGround(...options)
  grounds.push(ground)
  return ground
}
afterEach(async () => {
  inits.end()
  for (const ground of grounds.splice(0)) await ground.close()
}, 20_000)

const bridgeOf = (networks: Networks, name: string): string => `br-${networks.get(name).id.slice(0, 12)}`
const hasLink = (name: string): boolean => run("ip", "-o", "link").includes(`: ${name}:`)

test("a network is made, joined by name, and removed without a trace", async () => {
  const ground = await opened()
  const { networks } = ground
  const { network: made, warning } = await networks.create(network("blue", { labels: { a: "b" } }))
  expect([made.name, warning, made.labels]).toEqual(["blue", "", { a: "b" }])
  const bridge = bridgeOf(networks, "blue")
  expect(hasLink(bridge)).toBe(true)
  const attachment = await networks.join(joining("web", [on("blue", { aliases: ["www"] })]))
  const [endpoint] = attachment.endpoints
  expect(endpoint?.networkName).toBe("blue")
  expect(endpoint?.gateway).toBe(made.subnets[0]?.gateway)
  expect(endpoint?.dnsNames).toEqual(["web", "www"])
  const container = await inits.start(ground, attachment, "web")
  const routes = run(...placeOf(container), "ip", "route")
  expect(routes).toContain(`default via ${endpoint?.gateway} dev eth0`)
  expect(await failed(networks.remove("blue"))).toEqual([
    "forbidden",
    `error while removing network: network blue has active endpoints (name:"web" id:"${endpoint?.endpointId.slice(0, 12)}")`,
  ])
  await networks.leave(attachment.lease)
  await networks.remove("blue")
  expect(networks.find("blue")).toBeUndefined()
  await until("its bridge is gone", () => !hasLink(bridge))
  expect(run("ip", "route")).not.toContain(made.subnets[0]?.subnet ?? "?")
}, 30_000)

test("connect and disconnect change a running container's links and default route", async () => {
  const ground = await opened()
  const { networks } = ground
  for (const name of ["aaa", "zzz"]) await networks.create(network(name))
  const request = joining("web", [on("zzz")])
  const first = await inits.start(ground, await networks.join(request), "web")
  const both = await networks.connect(first, request, on("aaa"))
  expect(both.endpoints.map(({ interfaceName }) => interfaceName)).toEqual(["eth0", "eth1"])
  const connected = { ...first, lease: both.lease }
  const [zzz, aaa] = both.endpoints
  expect(run(...placeOf(first), "ip", "route", "show", "default")).toContain(`via ${aaa?.gateway} dev eth1`)
  expect(await failed(networks.connect(connected, request, on("aaa")))).toEqual([
    "forbidden",
    "endpoint with name web already exists in network aaa",
  ])
  const one = await networks.disconnect(connected, request, "aaa")
  expect(one.endpoints.map(({ networkName }) => networkName)).toEqual(["zzz"])
  expect(run(...placeOf(first), "ip", "route", "show", "default")).toContain(`via ${zzz?.gateway} dev eth0`)
  expect(run(...placeOf(first), "ip", "-o", "address")).not.toContain(`${aaa?.ipv4}/`)
  await until("its second link is gone", () => !run(...placeOf(first), "ip", "-o", "link").includes("gone"))
  const again = await networks.connect({ ...first, lease: one.lease }, request, on("aaa"))
  expect(again.endpoints[1]?.interfaceName).toBe("eth1")
  await networks.leave(again.lease)
}, 30_000)

test("containers of two networks do not reach each other, those of one do", async () => {
  const ground = await opened()
  const { networks } = ground
  for (const name of ["one", "two"]) await networks.create(network(name))
  const web = await networks.join(joining("web", [on("one")]))
  const near = await networks.join(joining("near", [on("one")]))
  const far = await networks.join(joining("far", [on("two")]))
  await ground.serve(await ground.placeOf(web), 80)
  const address = web.endpoints[0]?.ipv4 ?? ""
  expect(peerSeenBy(await ground.placeOf(near), address, 80)).toBe(near.endpoints[0]?.ipv4 ?? "?")
  expect(peerSeenBy(await ground.placeOf(far), address, 80)).toBeUndefined()
}, 30_000)

test("a published port is reached on a user-defined network, and follows the way out", async () => {
  const ground = await opened()
  const { networks } = ground
  for (const name of ["one", "two"]) await networks.create(network(name))
  const hostPort = somePort()
  const request = joining("web", [on("one")], [{ hostPort }])
  const container = await inits.start(ground, await networks.join(request), "web")
  await ground.serve(placeOf(container), 80)
  const seen = (): string | undefined =>
    peerSeenBy(ground.outside.place, ground.outside.hostAddress, hostPort)
  expect(seen()).toBe(ground.outside.address)
  const both = await networks.connect(container, request, on("two"))
  expect(seen()).toBe(ground.outside.address)
  const rest = await networks.disconnect({ ...container, lease: both.lease }, request, "one")
  expect(rest.ports.map((port) => port.hostPort)).toEqual([hostPort])
  expect(seen()).toBe(ground.outside.address)
  const none = await networks.disconnect({ ...container, lease: rest.lease }, request, "two")
  expect([none.endpoints, none.ports]).toEqual([[], []])
}, 30_000)

test("what Docker refuses is refused in its words", async () => {
  const { networks } = await opened()
  await networks.create(network("blue", withPools({ subnet: "10.77.0.0/24" })))
  expect(await failed(networks.create(network("blue")))).toEqual([
    "conflict",
    "network with name blue already exists",
  ])
  const refusals: [Partial<NetworkCreate>, string, string][] = [
    [{ driver: "host" }, "forbidden", 'only one instance of "host" network is allowed'],
    [{ driver: "weave" }, "not-found", 'plugin "weave" not found'],
    [{ name: "bridge" }, "forbidden", "operation is not permitted on predefined bridge network"],
    [{ ipv4: false }, "invalid", "IPv4 or IPv6 must be enabled"],
    [
      withPools({ subnet: "10.77.0.0/16" }),
      "forbidden",
      "Pool overlaps with other one on this address space",
    ],
    [withPools({ subnet: "nonsense" }), "invalid", "invalid subnet nonsense: invalid CIDR block notation"],
    [
      withPools({ subnet: "10.78.0.5/24" }),
      "invalid",
      "invalid subnet 10.78.0.5/24: it should be 10.78.0.0/24",
    ],
    [
      withPools({ subnet: "10.78.0.0/24", gateway: "10.79.0.1" }),
      "invalid",
      "invalid gateway 10.79.0.1: parent subnet 10.78.0.0/24 doesn't contain this address",
    ],
    [
      withPools({ subnet: "10.78.0.0/24", range: "10.79.0.0/25" }),
      "invalid",
      "invalid ip-range 10.79.0.0/25: parent subnet 10.78.0.0/24 doesn't contain ip-range",
    ],
    [
      withPools({ subnet: "10.78.0.0/24" }, { subnet: "10.79.0.0/24" }),
      "forbidden",
      "bridge driver doesn't support multiple subnets",
    ],
    [
      { options: { "com.docker.network.bridge.enable_icc": "maybe" } },
      "invalid",
      "failed to parse com.docker.network.bridge.enable_icc value: maybe",
    ],
  ]
  for (const [more, kind, words] of refusals) {
    const [found, message] = await failed(networks.create(network("red", more)))
    expect(message).toContain(words)
    expect(found).toBe(kind)
  }
  expect(networks.list()).toHaveLength(4)
}, 30_000)

test("addresses asked for are given, on subnets that were asked for too", async () => {
  const { networks } = await opened()
  await networks.create(network("blue", withPools({ subnet: "10.77.0.0/24", gateway: "10.77.0.254" })))
  await networks.create(network("any"))
  const attachment = await networks.join(
    joining("web", [on("blue", { ipv4: "10.77.0.9", macAddress: "02:00:00:00:00:09" })]),
  )
  expect(attachment.endpoints[0]).toMatchObject({
    ipv4: "10.77.0.9",
    gateway: "10.77.0.254",
    macAddress: "02:00:00:00:00:09",
  })
  expect(await failed(networks.join(joining("two", [on("blue", { ipv4: "10.77.0.9" })])))).toEqual([
    "forbidden",
    "Address already in use",
  ])
  // A restart asks for it right after its last run has gone.
  networks.joined(attachment.lease)
  await networks.leave(attachment.lease)
  const again = await networks.join(joining("web", [on("blue", { ipv4: "10.77.0.9" })]))
  expect(again.endpoints[0]?.ipv4).toBe("10.77.0.9")
  // One that a prepared namespace has is given as well.
  networks.joined(again.lease)
  await Bun.sleep(100)
  const near = await networks.join(
    joining("near", [on("blue", { ipv4: "10.77.0.3", macAddress: "02:00:00:00:00:0a" })]),
  )
  expect(near.endpoints[0]?.ipv4).toBe("10.77.0.3")
  const { subnets } = networks.get("any")
  const inside = subnets[0]?.gateway.replace(/\d+$/, "99") ?? ""
  expect(await failed(networks.join(joining("two", [on("any", { ipv4: inside })])))).toEqual([
    "invalid",
    "user specified IP address is supported only when connecting to networks with user configured subnets",
  ])
  expect(await failed(networks.join(joining("two", [on("blue", { ipv4: "10.78.0.9" })])))).toEqual([
    "invalid",
    "no configured subnet contains IP address 10.78.0.9",
  ])
}, 30_000)

test("several networks at once: names of interfaces and the way out are Docker's", async () => {
  const ground = await opened()
  const { networks } = ground
  for (const name of ["aa", "mm"]) await networks.create(network(name))
  await networks.create(network("inner", { internal: true }))
  const attachment = await networks.join(
    joining("web", [on("mm"), on("inner"), on("aa", { gatewayPriority: 0 })]),
  )
  const container = await inits.start(ground, attachment, "web")
  expect(attachment.endpoints.map(({ networkName, interfaceName }) => [networkName, interfaceName])).toEqual([
    ["mm", "eth0"],
    ["aa", "eth1"],
    ["inner", "eth2"],
  ])
  const [mm, aa, inner] = attachment.endpoints
  expect(inner?.gateway).toBeUndefined()
  expect(run(...placeOf(container), "ip", "route", "show", "default").trim()).toBe(
    `default via ${aa?.gateway} dev eth1`,
  )
  const preferred = await networks.join(joining("two", [on("mm", { gatewayPriority: 1 }), on("aa")]))
  const two = await inits.start(ground, preferred, "two")
  expect(run(...placeOf(two), "ip", "route", "show", "default").trim()).toBe(
    `default via ${mm?.gateway} dev eth0`,
  )
}, 30_000)

test("dual stack: addresses, gateways and default routes of both families", async () => {
  const ground = await opened()
  const { networks } = ground
  const { network: made } = await networks.create(network("dual", { ipv6: true }))
  expect(made.subnets[1]?.subnet).toMatch(/^fd.*\/64$/)
  const { network: six } = await networks.create(network("six", { ipv4: false, ipv6: true }))
  expect(six.subnets).toHaveLength(1)
  const web = await networks.join(joining("web", [on("dual")]))
  const near = await networks.join(joining("near", [on("dual")]))
  const place = await ground.placeOf(web)
  expect(run(...place, "ip", "-6", "route", "show", "default")).toContain(`via ${made.subnets[1]?.gateway}`)
  expect(web.hosts).toContain(web.endpoints[0]?.ipv6 ?? "?")
  run(...(await ground.placeOf(near)), "busybox", "ping6", "-c", "1", "-W", "2", web.endpoints[0]?.ipv6 ?? "")
  run(...place, "busybox", "ping6", "-c", "1", "-W", "2", made.subnets[1]?.gateway ?? "")
  const only = await networks.join(joining("only", [on("six")]))
  expect(only.endpoints[0]?.ipv4).toBeUndefined()
  expect(only.endpoints[0]?.ipv6).toBeDefined()
}, 30_000)

for (const name of ["blue", "bridge"])
  test(`bridge of network ${name}: removed by somebody it is made again for the next container, the others are back on it`, async () => {
    const ground = await opened()
    const { networks } = ground
    if (name === "blue") await networks.create(network("blue"))
    const web = await networks.join(joining("web", [on(name)]))
    const container = await inits.start(ground, web, "web")
    await ground.serve(placeOf(container), 80)
    run("ip", "link", "delete", name === "blue" ? bridgeOf(networks, "blue") : ground.bridge)
    const near = await networks.join(joining("near", [on(name)]))
    await near.ensure?.()
    expect(peerSeenBy(await ground.placeOf(near), web.endpoints[0]?.ipv4 ?? "", 80)).toBe(
      near.endpoints[0]?.ipv4 ?? "?",
    )
    expect(ground.warnings.join()).toContain("was removed by somebody and is made again")
  }, 30_000)

for (const words of [
  ["link", "set", "BRIDGE", "down"],
  ["address", "flush", "dev", "BRIDGE"],
])
  test(`a bridge after ip ${words.join(" ")} is put right for the next container`, async () => {
    const ground = await opened()
    const { networks } = ground
    await networks.create(network("dual", { ipv6: true }))
    const bridge = bridgeOf(networks, "dual")
    const before = run("ip", "-br", "address", "show", "dev", bridge)
    run("ip", ...words.map((word) => word.replace("BRIDGE", bridge)))
    const web = await networks.join(joining("web", [on("dual")]))
    const addresses = (text: string): string[] => text.trim().split(/\s+/).slice(2).toSorted()
    expect(addresses(run("ip", "-br", "address", "show", "dev", bridge))).toEqual(addresses(before))
    expect(ground.warnings.filter((warning) => warning.includes("changed by somebody"))).toHaveLength(1)
    await networks.leave(web.lease)
    await networks.leave((await networks.join(joining("two", [on("dual")]))).lease)
    expect(ground.warnings.filter((warning) => warning.includes("somebody"))).toHaveLength(1)
  }, 30_000)

test("an interface that somebody removed is made again by the next daemon; networks and addresses are kept", async () => {
  const ground = await opened()
  const { networks } = ground
  await networks.create(network("blue", withPools({ subnet: "10.77.1.0/24" })))
  const web = await networks.join(joining("web", [on("blue", { ipv4: "10.77.1.7" })]))
  const container = await inits.start(ground, web, "web")
  await ground.serve(placeOf(container), 80)
  const bridge = bridgeOf(networks, "blue")
  const end = run("ls", `/sys/class/net/${bridge}/brif`)
    .split("\n")
    .filter((name) => web.lease.includes(name))
  run("ip", "link", "delete", end[0] ?? "")
  run("ip", "link", "delete", bridge)
  const again = await ground.reopen([{ containerId: "web", lease: web.lease, pid: container.pid }])
  const near = await again.join(joining("near", [on("blue")]))
  expect(near.endpoints[0]?.ipv4).toBe("10.77.1.8")
  expect(peerSeenBy(await ground.placeOf(near), "10.77.1.7", 80)).toBe("10.77.1.8")
  expect(run(...placeOf(container), "ip", "route", "show", "default")).toContain("via 10.77.1.1 dev eth0")
  expect((await failed(again.join(joining("two", [on("blue", { ipv4: "10.77.1.7" })]))))[1]).toBe(
    "Address already in use",
  )
  await again.leave(web.lease)
  await until("the address rests no more", async () => {
    const [, message] = await failed(again.join(joining("two", [on("blue", { ipv4: "10.77.1.7" })])))
    return message === "it did not fail"
  })
}, 30_000)

test("an endpoint has the interface's name and switches that it was asked to have; advertisements change nothing", async () => {
  const ground = await opened()
  const { networks } = ground
  await networks.create(network("dual", { ipv6: true }))
  const driverOptions = {
    "com.docker.network.endpoint.ifname": "lan5",
    "com.docker.network.endpoint.sysctls":
      "net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.ifname.hop_limit=9",
  }
  const web = await networks.join(joining("web", [on("dual", { driverOptions, linkLocal: ["169.254.3.4"] })]))
  const place = await ground.placeOf(web)
  const conf = (path: string): string => run(...place, "cat", `/proc/sys/net/${path}`).trim()
  expect(web.endpoints[0]?.interfaceName).toBe("lan5")
  expect(conf("ipv4/conf/lan5/log_martians")).toBe("1")
  expect(conf("ipv6/conf/lan5/hop_limit")).toBe("9")
  expect(conf("ipv6/conf/lan5/accept_ra")).toBe("0")
  expect(run(...place, "ip", "-o", "address", "show", "lan5")).toContain("169.254.3.4/16")
  expect(run("cat", `/proc/sys/net/ipv6/conf/${bridgeOf(networks, "dual")}/accept_ra`).trim()).toBe("0")
  const container = await inits.start(ground, web, "web")
  const plain = await networks.connect(
    container,
    joining("web", [on("dual")]),
    on("bridge", {
      driverOptions: { "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1" },
    }),
  )
  expect(plain.endpoints[1]?.interfaceName).toBe("eth0")
  expect(conf("ipv4/conf/eth0/log_martians")).toBe("1")
  const wrong = { driverOptions: { "com.docker.network.endpoint.sysctls": "kernel.hostname=x" } }
  expect((await failed(networks.join(joining("two", [on("dual", wrong)]))))[1]).toContain(
    "unrecognised network interface sysctl 'kernel.hostname=x'",
  )
}, 30_000)
