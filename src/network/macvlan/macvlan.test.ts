// Networks on interfaces of this host, against the real kernel: parents made and taken away, neighbours reached.
import { afterEach, expect, test } from "bun:test"
import type { Ground } from "../../../test/fixtures/network-ground.ts"
import { openGround, peerSeenBy, run } from "../../../test/fixtures/network-ground.ts"
import {
  failed,
  joining,
  network,
  on,
  placeOfLiving,
  sleepers,
  until,
  withPools,
} from "../../../test/fixtures/network-requests.ts"
import type { NetworkCreate } from "../network.ts"

const grounds: Ground[] = []
const inits = sleepers()
const opened = async (): Promise<Ground> => {
  const ground = await openGround({ poolSize: 0 })
  grounds.push(ground)
  return ground
}
afterEach(async () => {
  inits.end()
  for (const ground of grounds.splice(0)) await ground.close()
}, 20_000)

const hasLink = (name: string): boolean => run("ip", "-o", "link").includes(`: ${name}`)
const macvlan = (name: string, options: Record<string, string>, more: Partial<NetworkCreate> = {}) =>
  network(name, { driver: "macvlan", options, ...more })
/** Name of the ground's link to its other host. */
const outer = (ground: Ground): string =>
  run("ip", "-o", "-4", "address").match(
    new RegExp(`\\d+: (\\S+) +inet ${ground.outside.hostAddress}/`),
  )?.[1] ?? ""

test("without a parent containers reach each other and nobody else", async () => {
  const ground = await opened()
  const { networks } = ground
  const { network: made } = await networks.create(macvlan("lonely", {}))
  const parent = `dm-${made.id.slice(0, 12)}`
  expect(made.subnets[0]?.gateway).toBe("")
  expect(hasLink(parent)).toBe(true)
  const web = await networks.join(joining("web", [on("lonely")]))
  const near = await networks.join(joining("near", [on("lonely")]))
  await ground.serve(await ground.placeOf(web), 80)
  const place = await ground.placeOf(near)
  expect(peerSeenBy(place, web.endpoints[0]?.ipv4 ?? "", 80)).toBe(near.endpoints[0]?.ipv4 ?? "?")
  expect(run(...place, "ip", "route", "show", "default")).toBe("")
  for (const { lease } of [web, near]) await networks.leave(lease)
  await networks.remove("lonely")
  await until("its parent is gone", () => !hasLink(parent))
}, 30_000)

test("on a parent a container is a neighbour of the other host, with its own addresses", async () => {
  const ground = await opened()
  const { networks, outside } = ground
  const subnet = `${outside.address.replace(/\.2$/, ".0")}/24`
  const parent = outer(ground)
  run(...outside.place, "ip", "address", "replace", `${outside.address}/24`, "dev", "eth0")
  await networks.create(
    macvlan(
      "lan",
      { parent },
      withPools({ subnet, gateway: outside.address, range: subnet.replace(".0/24", ".64/26") }),
    ),
  )
  const web = await networks.join(joining("web", [on("lan")]))
  expect(web.endpoints[0]?.ipv4).toBe(outside.address.replace(/\.2$/, ".64"))
  const place = await ground.placeOf(web)
  await ground.serve(place, 80)
  expect(run(...place, "ip", "route", "show", "default")).toContain(`via ${outside.address} dev eth0`)
  expect(peerSeenBy(outside.place, web.endpoints[0]?.ipv4 ?? "", 80)).toBe(outside.address)
  expect(run(...outside.place, "ip", "neighbour")).toContain(web.endpoints[0]?.macAddress ?? "?")
  const container = await inits.start(ground, web, "web")
  const request = joining("web", [on("lan")])
  const both = await networks.connect(container, request, on("bridge"))
  expect(both.endpoints.map(({ interfaceName }) => interfaceName)).toEqual(["eth0", "eth1"])
  const rest = await networks.disconnect({ ...container, lease: both.lease }, request, "lan")
  expect(rest.endpoints.map(({ networkName }) => networkName)).toEqual(["bridge"])
  await until(
    "its link is gone",
    () => !run(...placeOfLiving(container), "ip", "-o", "link").includes("gone"),
  )
  const again = await networks.connect({ ...container, lease: rest.lease }, request, on("lan"))
  expect(again.endpoints[1]?.interfaceName).toBe("eth0")
  await networks.leave(again.lease)
}, 30_000)

test("a VLAN's interface is made, shared, and gone with its last network; a kernel without says so", async () => {
  const ground = await opened()
  const { networks } = ground
  const parent = `${outer(ground)}.10`
  const pools = withPools({ subnet: "10.88.0.0/24" }, { subnet: "10.88.2.0/24" })
  const first: unknown = await networks.create(macvlan("one", { parent }, pools)).catch((error) => error)
  if (first instanceof Error) {
    expect(first.message).toContain("kernel makes no VLAN interfaces")
    expect(networks.find("one")).toBeUndefined()
    return
  }
  const other = withPools({ subnet: "10.88.1.0/24" })
  await networks.create(macvlan("two", { parent, macvlan_mode: "private" }, other))
  expect(run("ip", "-d", "link", "show", parent)).toContain("vlan protocol 802.1Q id 10")
  await networks.remove("one")
  await Bun.sleep(100)
  await ground.reopen([])
  expect(hasLink(parent)).toBe(true)
  await ground.networks.remove("two")
  await until("the interface is gone", () => !hasLink(parent))
}, 30_000)

test("what cannot be is refused in Docker's words", async () => {
  const ground = await opened()
  const { networks } = ground
  const parent = outer(ground)
  await networks.create(macvlan("pass", { parent, macvlan_mode: "passthru" }))
  const { id } = networks.get("pass")
  for (const [request, words] of [
    [
      macvlan("x", { macvlan_mode: "wild" }),
      "requested macvlan mode 'wild' is not valid, 'bridge' mode is the macvlan driver default",
    ],
    [macvlan("x", { parent: "lo" }), "loopback interface is not a valid macvlan parent link"],
    [
      macvlan("x", { parent: "nowhere" }),
      "invalid subinterface vlan name nowhere, example formatting is eth0.10",
    ],
    [macvlan("x", { parent: "nowhere.5" }), "-o parent interface was not found on the host: nowhere"],
    [macvlan("x", { parent: `${parent}.5000` }), "vlan id must be between 1-4094, received: 5000"],
    [
      macvlan("x", { parent }),
      `macvlan network ${id} is already using parent interface ${parent} in mode passthru`,
    ],
  ] as const)
    expect((await failed(networks.create(request)))[1]).toBe(words)
  expect(networks.find("x")).toBeUndefined()
}, 30_000)

test("ipvlan works where the kernel has it; where not, one sentence says so and nothing is left", async () => {
  const ground = await opened()
  const { networks } = ground
  const before = run("ip", "-o", "link").split("\n").length
  const [kind, message] = await failed(networks.create(network("ip", { driver: "ipvlan" })))
  if (message === "it did not fail") {
    const web = await networks.join(joining("web", [on("ip")]))
    const near = await networks.join(joining("near", [on("ip")]))
    await ground.serve(await ground.placeOf(web), 80)
    const seen = peerSeenBy(await ground.placeOf(near), web.endpoints[0]?.ipv4 ?? "", 80)
    expect(seen).toBe(near.endpoints[0]?.ipv4 ?? "?")
    return
  }
  expect([kind, message]).toEqual([
    "not-implemented",
    "this host's kernel has no ipvlan (CONFIG_IPVLAN): use the macvlan driver, or a kernel that has it",
  ])
  expect(networks.find("ip")).toBeUndefined()
  await until("its parent is gone", () => run("ip", "-o", "link").split("\n").length <= before)
}, 30_000)
