// Links of running containers that are not as their leases say: a change that a killed daemon had begun is undone, a link
// that somebody removed is made again.
import { existsSync } from "node:fs"
import { errorMessage } from "../../base/errors.ts"
import { deleteLink, listLinks, netlinkOperation, readLinks } from "../../kernel/netlink/netlink.ts"
import { collect } from "../request.ts"
import type { Room } from "../room.ts"
import { attachLinks, GONE_NAME } from "./attach.ts"
import type { Intent } from "./intents.ts"
import { namedWaysOut } from "./join.ts"
import type { Endpoint } from "./lease.ts"
import { givenAddresses } from "./lease.ts"
import type { Member } from "./members.ts"
import { placed } from "./publishing.ts"

const isLost = ({ link }: Endpoint): boolean => link !== "" && !existsSync(`/sys/class/net/${link}`)

/** Removes what is left in a namespace of links that were on their way out or in, and says what is still there. */
const clearInside = async (
  room: Room,
  namespace: string,
  unwanted: ReadonlySet<string>,
): Promise<Set<string>> => {
  const list = netlinkOperation("inside", "route", [listLinks()])
  const inside = { plan: [["netlink"], ["namespace", namespace]] as const }
  const links = readLinks(await collect(room.kernel, [...inside.plan, list]))
  const going = links.filter(({ name }) => GONE_NAME.test(name) || unwanted.has(name))
  for (const { index } of going)
    await collect(room.kernel, [
      ...inside.plan,
      netlinkOperation("inside", "route", [deleteLink({ index })]),
    ]).catch(() => undefined)
  return new Set(links.filter((link) => !going.includes(link)).map(({ name }) => name))
}

const mendMember = async (
  room: Room,
  { lease }: Member,
  pid: number,
  intents: readonly Intent[],
): Promise<void> => {
  const namespace = `/proc/${pid}/ns/net`
  const known = new Set(lease.endpoints.map(({ record }) => record.endpointId))
  const half = intents.filter(({ verb, endpoint }) => (verb === "connect") !== known.has(endpoint))
  for (const { link } of half) await room.departures.removeNow(link)
  const there = await clearInside(room, namespace, new Set(half.map(({ name }) => name)))
  const endpoints = placed(room, lease.endpoints)
  const lost = endpoints.filter(
    ({ endpoint }) => isLost(endpoint) || !there.has(endpoint.record.interfaceName ?? "eth0"),
  )
  for (const { endpoint } of lost) await room.departures.removeNow(endpoint.link)
  await attachLinks(
    room.kernel,
    room.removals,
    namespace,
    lost.map(({ endpoint, segment }) => ({
      segment,
      link: endpoint.link,
      name: endpoint.record.interfaceName ?? "eth0",
      macAddress: endpoint.record.macAddress,
      addresses: givenAddresses(endpoint),
      linkLocal: endpoint.linkLocal ?? [],
      sysctls: new Map(endpoint.sysctls ?? []),
    })),
    namedWaysOut(endpoints),
    [],
  )
  for (const { endpoint } of lost)
    room.warn(
      `container ${lease.name || lease.container} had lost its interface on network ${endpoint.record.networkName}: it was made again`,
    )
}

/** Mends every container that needs it; `pids` are those of their inits, as far as they are known. */
export const mendMembers = async (room: Room, pids: ReadonlyMap<string, number>): Promise<void> => {
  const intents = room.intents.list()
  for (const member of room.members.list()) {
    const { lease } = member
    const own = intents.filter(({ container }) => container === lease.container)
    if (own.length === 0 && !lease.endpoints.some(isLost)) continue
    const pid = pids.get(lease.container) ?? own[0]?.pid
    try {
      if (pid === undefined) throw new Error("the process in its namespace is not known")
      await mendMember(room, member, pid, own)
    } catch (error) {
      room.warn(
        `container ${lease.name || lease.container} has lost an interface, which could not be made again: ${errorMessage(error)}; disconnect it and connect it again`,
      )
    }
  }
  for (const { endpoint } of intents) room.intents.forget(endpoint)
}
