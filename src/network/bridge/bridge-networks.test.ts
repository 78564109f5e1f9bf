// What options make of a bridge network, against the real kernel.
import { afterEach, expect, test } from "bun:test"
import { randomBytes } from "node:crypto"
import type { Ground } from "../../../test/fixtures/network-ground.ts"
import { openGround, peerSeenBy, run } from "../../../test/fixtures/network-ground.ts"
import { failed, joining, network, on, until, withPools } from "../../../test/fixtures/network-requests.ts"

const grounds: Ground[] = []
const opened = async (...options: Parameters<typeof openGround>): Promise<Ground> => {
  const ground = await openGround(...options)
  grounds.push(ground)
  return ground
}
afterEach(async () => {
  for (const ground of grounds.splice(0)) await ground.close()
}, 20_000)

const hasLink = (name: string): boolean => run("ip", "-o", "link").includes(`: ${name}:`)
const addressesOn = (bridge: string): string => run("ip", "-o", "address", "show", bridge)
const heldBy = async (ground: Ground): Promise<readonly string[]> =>
  (await ground.kernel.perform([["netns-list"]])).get("name") ?? []
const somePlace = (): string => `10.${200 + ((randomBytes(1)[0] ?? 0) % 50)}.${randomBytes(1)[0] ?? 0}`

test("a bridge is named, sized and numbered as asked, and free for another right after", async () => {
  const { networks } = await opened()
  const name = `slb${randomBytes(3).toString("hex")}`
  const options = {
    "com.docker.network.bridge.name": name,
    "com.docker.network.driver.mtu": "1300",
    "com.docker.network.container_iface_prefix": "lan",
  }
  for (let round = 0; round < 2; round++) {
    await networks.create(network("blue", { options }))
    expect(run("ip", "link", "show", name)).toContain("mtu 1300")
    const web = await networks.join(joining("web", [on("blue")]))
    expect(web.endpoints[0]?.interfaceName).toBe("lan0")
    expect((await failed(networks.create(network("red", { options }))))[1]).toContain(
      "networks have same bridge name",
    )
    await networks.leave(web.lease)
    await networks.remove("blue")
  }
  await until("its bridge is gone", () => !hasLink(name))
}, 30_000)

test("a bridge that was there before is used and left to its owner", async () => {
  const { networks } = await opened()
  const name = `slb${randomBytes(3).toString("hex")}`
  run("ip", "link", "add", name, "type", "bridge")
  try {
    const options = { "com.docker.network.bridge.name": name }
    const { network: made } = await networks.create(network("blue", { options }))
    expect(addressesOn(name)).toContain(`${made.subnets[0]?.gateway}/`)
    await networks.remove("blue")
    await Bun.sleep(150)
    expect(hasLink(name)).toBe(true)
    expect(addressesOn(name)).not.toContain(`${made.subnets[0]?.gateway}/`)
    run("ip", "link", "add", `${name}d`, "type", "veth", "peer", "name", `${name}e`)
    const wrong = network("red", { options: { "com.docker.network.bridge.name": `${name}d` } })
    expect((await failed(networks.create(wrong)))[1]).toContain("exists and is no bridge")
  } finally {
    for (const link of [name, `${name}d`])
      if (run("ip", "-o", "link").includes(`${link}@`) || hasLink(link)) run("ip", "link", "delete", link)
  }
}, 30_000)

test("an internal network leads nowhere else; an isolated one does not even know this host", async () => {
  const ground = await opened()
  const { networks, outside } = ground
  await networks.create(network("inner", { internal: true }))
  const isolated = { "com.docker.network.bridge.gateway_mode_ipv4": "isolated" }
  const { network: alone } = await networks.create(network("alone", { internal: true, options: isolated }))
  expect((await failed(networks.create(network("x", { options: isolated }))))[1]).toBe(
    "gateway mode 'isolated' can only be used for an internal network",
  )
  const web = await networks.join(joining("web", [on("inner")]))
  const near = await networks.join(joining("near", [on("inner")]))
  const place = await ground.placeOf(near)
  await ground.serve(await ground.placeOf(web), 80)
  await ground.serve(outside.place, 8080)
  expect(peerSeenBy(place, web.endpoints[0]?.ipv4 ?? "", 80)).toBe(near.endpoints[0]?.ipv4 ?? "?")
  expect(run(...place, "ip", "route", "show", "default")).toBe("")
  run(...place, "ip", "route", "add", "default", "via", networks.get("inner").subnets[0]?.gateway ?? "")
  expect(peerSeenBy(place, outside.address, 8080)).toBeUndefined()
  expect(addressesOn(`br-${alone.id.slice(0, 12)}`)).not.toContain("inet ")
}, 30_000)

test("without icc containers of a network do not reach each other, yet the world", async () => {
  const ground = await opened()
  const { networks, outside } = ground
  await networks.create(network("apart", { options: { "com.docker.network.bridge.enable_icc": "false" } }))
  const web = await networks.join(joining("web", [on("apart")]))
  const near = await networks.join(joining("near", [on("apart")]))
  await ground.serve(await ground.placeOf(web), 80)
  await ground.serve(outside.place, 8080)
  const place = await ground.placeOf(near)
  expect(peerSeenBy(place, web.endpoints[0]?.ipv4 ?? "", 80)).toBeUndefined()
  expect(peerSeenBy(place, outside.address, 8080)).toBe(outside.hostAddress)
}, 30_000)

test("a subnet that this host uses is refused, and no default one overlaps it", async () => {
  const ground = await opened()
  const { networks, outside } = ground
  const subnet = `${outside.address.replace(/\.\d+$/, ".0")}/24`
  const [kind, message] = await failed(networks.create(network("blue", withPools({ subnet }))))
  expect(kind).toBe("forbidden")
  expect(message).toMatch(
    /^invalid pool request: Pool overlaps with other one on this address space: \S+ and \S+ of this host's interface o\w+$/,
  )
}, 30_000)

test("addresses of a small network run out with one sentence, and come back", async () => {
  const ground = await opened()
  const { networks } = ground
  const { network: tiny } = await networks.create(
    network("tiny", withPools({ subnet: `${somePlace()}.0/30` })),
  )
  const one = await networks.join(joining("one", [on("tiny")]))
  expect(await failed(networks.join(joining("two", [on("tiny")])))).toEqual([
    "exhausted",
    `no available IPv4 addresses on this network's address pools: tiny (${tiny.id})`,
  ])
  networks.joined(one.lease)
  await networks.leave(one.lease)
  // It rests as long as others are free, and no longer.
  const two = await networks.join(joining("two", [on("tiny")]))
  expect(two.endpoints[0]?.ipv4).toBe(one.endpoints[0]?.ipv4 ?? "?")
}, 30_000)

test("networks made and removed at once do not share subnets, and leave nothing", async () => {
  const ground = await opened()
  const { networks } = ground
  const before = run("ip", "-o", "link")
    .split("\n")
    .filter((line) => line.includes(": br-")).length
  const names = Array.from({ length: 8 }, (_, index) => `n${index}`)
  const made = await Promise.all(names.map((name) => networks.create(network(name))))
  expect(new Set(made.map((one) => one.network.subnets[0]?.subnet)).size).toBe(8)
  const [again] = await failed(Promise.all([networks.create(network("n1")), networks.create(network("n2"))]))
  expect(again).toBe("conflict")
  await Promise.all(names.map((name) => networks.remove(name)))
  await until("their bridges are gone", () => {
    const now = run("ip", "-o", "link")
      .split("\n")
      .filter((line) => line.includes(": br-")).length
    return now <= before
  })
}, 30_000)

test("namespaces are prepared on a network once it is used, within bounds, and survive no daemon", async () => {
  const ground = await opened({ poolSize: 3 })
  const { networks } = ground
  await networks.create(network("blue"))
  await until("the default pool is full", async () => (await heldBy(ground)).length === 2)
  const one = await networks.join(joining("one", [on("blue")]))
  networks.joined(one.lease)
  await until("blue has its own", async () => (await heldBy(ground)).length === 4)
  const two = await networks.join(joining("two", [on("blue")]))
  expect(await heldBy(ground)).toContain(two.namespace.slice("held:".length))
  const prepared = await heldBy(ground)
  const again = await ground.reopen([])
  for (const name of prepared) expect(await heldBy(ground)).not.toContain(name)
  await again.remove("blue")
  await until("nothing of it is left", () => !hasLink(`br-${one.endpoints[0]?.network.slice(0, 12)}`))
}, 30_000)

test("an engine that goes takes its bridges along and brings them back with their subnets", async () => {
  const ground = await opened({ poolSize: 0 })
  const pools = withPools({ subnet: `${somePlace()}.0/24` })
  const { network: made } = await ground.networks.create(network("blue", { ipv6: true, ...pools }))
  const bridge = `br-${made.id.slice(0, 12)}`
  await ground.networks.close({ remove: true })
  expect(hasLink(bridge)).toBe(false)
  const networks = await ground.reopen([])
  expect(networks.get("blue")).toEqual(made)
  for (const { gateway } of made.subnets) expect(addressesOn(bridge)).toContain(` ${gateway}/`)
  const web = await networks.join(joining("web", [on("blue")]))
  const near = await networks.join(joining("near", [on("blue")]))
  await ground.serve(await ground.placeOf(web), 80)
  expect(peerSeenBy(await ground.placeOf(near), web.endpoints[0]?.ipv4 ?? "", 80)).toBe(
    near.endpoints[0]?.ipv4 ?? "?",
  )
}, 30_000)

test("a link that an engine killed amid making a network left behind is cleared; others' links are not", async () => {
  const ground = await opened({ poolSize: 0 })
  const tag = randomBytes(3).toString("hex")
  const [ours, theirs] = [`slc${tag}`, `sld${tag}`]
  for (const [name, owner] of [
    [ours, ground.bridge],
    [theirs, "another"],
  ] as const) {
    run("ip", "link", "add", name, "type", "bridge")
    run("ip", "link", "set", name, "alias", `sloop ${owner} ${"0".repeat(64)}`)
  }
  try {
    await ground.reopen([])
    await until("it is cleared", () => !hasLink(ours))
    expect(hasLink(theirs)).toBe(true)
  } finally {
    run("ip", "link", "delete", theirs)
  }
}, 30_000)

test("a subnet that somebody took while no daemon ran is told of", async () => {
  const ground = await opened({ poolSize: 0 })
  const place = somePlace()
  await ground.networks.create(network("blue", withPools({ subnet: `${place}.0/24` })))
  await ground.networks.close({ remove: true })
  run("ip", "address", "add", `${place}.77/32`, "dev", "lo")
  try {
    await ground.reopen([])
    expect(ground.warnings.join()).toContain(
      `network blue has ${place}.0/24, and so has this host's interface lo: containers on it may not be reached`,
    )
  } finally {
    run("ip", "address", "delete", `${place}.77/32`, "dev", "lo")
  }
}, 30_000)
