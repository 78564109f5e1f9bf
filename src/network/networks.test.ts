// The room at work against the real kernel: pool, conflicts, recovery, repair, and nothing left behind.
import { afterEach, expect, test } from "bun:test"
import { randomBytes } from "node:crypto"
import type { Ground } from "../../test/fixtures/network-ground.ts"
import {
  here,
  joinRequest,
  openGround,
  peerSeenBy,
  run,
  somePort,
} from "../../test/fixtures/network-ground.ts"
import { errorKind, errorMessage } from "../base/errors.ts"
import type { Kernel, Plan } from "../kernel/kernel.ts"
import { createVeth, netlinkOperation } from "../kernel/netlink/netlink.ts"
import { macAddressOf } from "./containers/interface.ts"
import { overlap, parseCidr } from "./ipam/cidr.ts"
import type { Attachment } from "./network.ts"
import { Namespaces } from "./pool/namespaces.ts"

const grounds: Ground[] = []
const opened = async (...options: Parameters<typeof openGround>): Promise<Ground> => {
  const ground = await openGround(...options)
  grounds.push(ground)
  return ground
}
afterEach(async () => {
  for (const ground of grounds.splice(0)) await ground.close()
}, 20_000)

const until = async (what: string, holds: () => boolean | Promise<boolean>): Promise<void> => {
  for (let tries = 0; tries < 150; tries++) {
    if (await holds()) return
    await Bun.sleep(20)
  }
  throw new Error(`it never came true that ${what}`)
}
const heldBy = async (ground: Ground): Promise<readonly string[]> =>
  (await ground.kernel.perform([["netns-list"]])).get("name") ?? []
const portsOf = (ground: Ground): string[] =>
  run("ip", "-o", "link", "show", "master", ground.bridge).split("\n").filter(Boolean)
const heldName = (attachment: Attachment): string => attachment.namespace.slice("held:".length)
const listed = (ground: Ground): string => run("nft", "list", "table", "inet", ground.table)

/** Counts the plans that pass through to a kernel. */
const counting = (kernel: Kernel): { kernel: Kernel; plans: Plan[] } => {
  const plans: Plan[] = []
  return {
    plans,
    kernel: {
      features: () => kernel.features(),
      perform: (plan, signal) => {
        plans.push(plan)
        return kernel.perform(plan, signal)
      },
      send: (plan, bytes, signal) => kernel.send(plan, bytes, signal),
      receive: (plan, signal) => {
        plans.push(plan)
        return kernel.receive(plan, signal)
      },
      launch: (id, operations, socket) => kernel.launch(id, operations, socket),
      rejoin: (socket) => kernel.rejoin(socket),
      close: () => kernel.close(),
    },
  }
}

test("a container joins from the pool without a request to the kernel, and the pool refills after its launch", async () => {
  const ground = await opened()
  await ground.networks.close({ remove: false })
  const counted = counting(ground.kernel)
  const networks = await ground.reopen([], { kernel: counted.kernel })
  await until("the pool is full", async () => (await heldBy(ground)).length === 2)
  counted.plans.length = 0
  const one = await networks.join(joinRequest("one"))
  await networks.join(joinRequest("two"))
  expect(counted.plans).toEqual([])
  expect(await heldBy(ground)).toContain(heldName(one))
  networks.joined(one.lease)
  // "two" is still being launched
  await until("the one that was taken over is let go", async () => (await heldBy(ground)).length === 1)
}, 60_000)

test("an empty pool costs one request, and publishing a port another", async () => {
  const ground = await opened({ poolSize: 0 })
  const counted = counting(ground.kernel)
  const networks = await ground.reopen([], { kernel: counted.kernel, poolSize: 0 })
  counted.plans.length = 0
  const attachment = await networks.join(joinRequest("cold", [{ hostAddress: "127.0.0.1" }]))
  expect(counted.plans.map((plan) => plan[0]?.[0])).toEqual(["netns-create", "netlink"])
  const place = await ground.placeOf(attachment)
  expect(run(...place, "ip", "-o", "-4", "address", "show", "eth0")).toContain(
    attachment.endpoints[0]?.ipv4 ?? "?",
  )
  expect(run(...place, "ip", "route")).toContain("default via")
  expect(run(...place, "cat", "/proc/net/if_inet6")).not.toContain("eth0")
  expect(attachment.ports[0]?.hostPort).toBeGreaterThanOrEqual(32768)
}, 30_000)

test("a failed join leaves nothing behind and says what Docker says", async () => {
  const ground = await opened({ poolSize: 0 })
  const hostPort = somePort()
  await ground.networks.join(joinRequest("first", [{ hostPort }]))
  const failed = await ground.networks
    .join(joinRequest("second", [{ hostPort }]))
    .catch((error: unknown) => error)
  expect(errorKind(failed)).toBe("conflict")
  expect(errorMessage(failed)).toMatch(
    new RegExp(
      `^driver failed programming external connectivity on endpoint second \\([0-9a-f]{64}\\): Bind for 0.0.0.0:${hostPort} failed: port is already allocated$`,
    ),
  )
  await until("one veth is left", () => portsOf(ground).length === 1)
  expect(await heldBy(ground)).toHaveLength(1)
  const busy = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } })
  const other = await ground.networks
    .join(joinRequest("third", [{ hostPort: busy.port }]))
    .catch(errorMessage)
  busy.stop(true)
  expect(other).toContain(`failed to bind host port for 0.0.0.0:${busy.port}/tcp: address already in use`)
  const missing = await ground.networks
    .join({ ...joinRequest("x"), mode: "blue" })
    .catch((error: unknown) => error)
  expect([errorKind(missing), errorMessage(missing)]).toEqual(["not-found", "network blue not found"])
}, 30_000)

test("leaving is idempotent and gives port and address back", async () => {
  const ground = await opened({ poolSize: 0 })
  const hostPort = somePort()
  const request = joinRequest("again", [{ hostPort }])
  for (let round = 0; round < 3; round++) {
    const attachment = await ground.networks.join(request)
    ground.networks.joined(attachment.lease)
    await ground.networks.leave(attachment.lease)
    await ground.networks.leave(attachment.lease)
  }
  await until("no veth is left", () => portsOf(ground).length === 0)
  await until("no port is published", () => !listed(ground).includes(String(hostPort)))
}, 30_000)

test("a new daemon keeps what running containers have and drops what nobody got", async () => {
  const ground = await opened()
  const hostPort = somePort()
  const web = await ground.networks.join(joinRequest("web", [{ hostPort }]))
  const place = await ground.placeOf(web)
  await ground.serve(place, 80)
  ground.networks.joined(web.lease)
  await until("the pool is full", async () => (await heldBy(ground)).length >= 2)
  // The daemon is killed here: nothing is closed. Somebody even flushes the firewall meanwhile.
  run("nft", "delete", "table", "inet", ground.table)
  const before = await heldBy(ground)
  const networks = await ground.reopen([{ containerId: "web", lease: web.lease }])
  expect(peerSeenBy(ground.outside.place, ground.outside.hostAddress, hostPort)).toBe(ground.outside.address)
  for (const name of before) expect(await heldBy(ground)).not.toContain(name)
  const conflict = await networks.join(joinRequest("other", [{ hostPort }])).catch(errorMessage)
  expect(conflict).toContain("port is already allocated")
  const next = await networks.join(joinRequest("next"))
  expect(next.endpoints[0]?.ipv4).not.toBe(web.endpoints[0]?.ipv4)
  await networks.leave(web.lease)
  await until("the port is closed", () => !listed(ground).includes(String(hostPort)))
  // Its namespace is kept alive by the server, yet its link goes: nobody has that address any more.
  await until("its link is gone", () => peerSeenBy(here, web.endpoints[0]?.ipv4 ?? "", 80) === undefined)
}, 60_000)

test("a table that somebody flushed is put back by the next port", async () => {
  const ground = await opened({ poolSize: 0 })
  const kept = somePort()
  await ground.networks.join(joinRequest("kept", [{ hostPort: kept }]))
  run("nft", "delete", "table", "inet", ground.table)
  await ground.networks.join(joinRequest("more", [{ hostPort: kept + 1 }]))
  expect(listed(ground)).toContain(`tcp . ${kept} :`)
  expect(listed(ground)).toContain(`tcp . ${kept + 1} :`)
}, 30_000)

test("engines side by side have bridges, subnets and tables of their own; one that goes takes all of it along", async () => {
  const [one, two] = await Promise.all([opened(), opened()])
  const subnets = [one, two].map((ground) => ground.networks.get("bridge").subnets[0]?.subnet ?? "")
  expect(overlap(parseCidr(subnets[0] ?? ""), parseCidr(subnets[1] ?? ""))).toBe(false)
  expect(one.bridge).not.toBe(two.bridge)
  expect(
    one.networks
      .list()
      .map((network) => network.name)
      .toSorted(),
  ).toEqual(["bridge", "host", "none"])
  await one.networks.close({ remove: true })
  expect(run("ip", "-o", "link")).not.toContain(one.bridge)
  expect(run("nft", "list", "tables")).not.toContain(one.table)
  expect(run("nft", "list", "tables")).toContain(two.table)
}, 30_000)

test("the index of eth0 is learnt where it is not the usual one", async () => {
  const ground = await opened({ poolSize: 0 })
  const namespaces = new Namespaces(ground.kernel, 9)
  const make = (address: string): ReturnType<Namespaces["make"]> => {
    const serial = randomBytes(4).toString("hex")
    const addresses = { ipv4: { address, prefixLength: 16, gateway: "10.255.0.1" } }
    return namespaces.make({
      held: `${ground.bridge}.${address}.${serial}`,
      link: `vethsl${serial}`,
      interfaceName: "eth0",
      macAddress: macAddressOf(addresses),
      addresses,
      linkLocal: [],
      gateway4: "10.255.0.1",
      linkOperation: (name) =>
        netlinkOperation("host", "route", [
          createVeth({
            name,
            master: 0,
            mtu: 1500,
            peerName: "eth0",
            peerMacAddress: macAddressOf(addresses),
          }),
        ]),
      sysctls: [],
      operations: [],
    })
  }
  const made = await make("10.255.0.2")
  expect(await heldBy(ground)).toEqual([made.held])
  expect(made.interfaceIndex).not.toBe(9)
  await make("10.255.0.3")
}, 30_000)

test("a launcher that was replaced holds nothing: the pool notices after the first failed launch", async () => {
  const ground = await opened()
  await until("the pool is full", async () => (await heldBy(ground)).length === 2)
  process.kill(await ground.kernel.launcherPid(), "SIGKILL")
  const lost = await ground.networks.join(joinRequest("lost"))
  expect(await heldBy(ground)).not.toContain(heldName(lost))
  await ground.networks.leave(lost.lease)
  await until("the pool is made anew", async () => (await heldBy(ground)).length >= 2)
  const found = await ground.networks.join(joinRequest("found"))
  expect(await heldBy(ground)).toContain(heldName(found))
}, 30_000)

test("many containers that come and go at once leave nothing behind", async () => {
  const ground = await opened()
  const first = somePort()
  for (let round = 0; round < 2; round++) {
    const attachments = await Promise.all(
      Array.from({ length: 24 }, (_, index) =>
        ground.networks.join(joinRequest(`c${index}`, [{ hostPort: first + index }])),
      ),
    )
    const addresses = attachments.map((attachment) => attachment.endpoints[0]?.ipv4)
    expect(new Set(addresses).size).toBe(24)
    for (const attachment of attachments) ground.networks.joined(attachment.lease)
    await Promise.all(attachments.map((attachment) => ground.networks.leave(attachment.lease)))
  }
  await ground.networks.close({ remove: false })
  await until("no namespace is held", async () => (await heldBy(ground)).length === 0)
  await until("no veth is left", () => portsOf(ground).length === 0)
  expect(listed(ground)).not.toMatch(/(tcp|udp) \. \d/)
}, 30_000)
