// Networks made and removed: checked as Docker checks them, made of kernel objects, remembered.
import { randomBytes } from "node:crypto"
import { crashPoint } from "../base/crash-point.ts"
import { errorMessage, failure } from "../base/errors.ts"
import type { NetworkRecord } from "../state/state.ts"
import { guarded } from "./bridge/driver.ts"
import { interfacePrefix } from "./bridge/options.ts"
import type { Driver, Footing } from "./driver.ts"
import { type HostNetwork, readHostNetwork, usedBlocks } from "./host-network.ts"
import type { Cidr, Family } from "./ipam/cidr.ts"
import { parseCidr } from "./ipam/cidr.ts"
import type { TakenBlock } from "./ipam/request.ts"
import { checkPools, settleSubnets } from "./ipam/request.ts"
import type { NetworkCreate } from "./network.ts"
import { isPredefined } from "./records.ts"
import type { Room } from "./room.ts"
import { getNetwork } from "./room.ts"
import { Segment } from "./segment.ts"

const driverOf = (room: Room, request: NetworkCreate): Driver => {
  const name = request.driver || "bridge"
  const driver = room.drivers.get(name)
  if (driver) return driver
  if (name === "host" || name === "null")
    throw failure("forbidden", `only one instance of "${name}" network is allowed`)
  throw failure(
    "not-found",
    `could not find plugin ${name} in v1 plugin registry: plugin "${name}" not found`,
  )
}

const checkName = (room: Room, name: string): void => {
  if (name.trim() === "") throw failure("invalid", "invalid name: name is empty")
  // As in Docker any text will do; but no request could name one with a slash.
  if (/[\0-\x1f\x7f/]/.test(name))
    throw failure("invalid", `invalid name: ${JSON.stringify(name)} holds a slash or a control character`)
  if (isPredefined(name))
    throw failure("forbidden", `operation is not permitted on predefined ${name} network `)
  if (room.state.networks.list().some((network) => network.name === name))
    throw failure("conflict", `network with name ${name} already exists`)
}

const checkIpam = (request: NetworkCreate): void => {
  const { driver } = request.ipam
  if (driver !== "" && driver !== "default" && driver !== "null")
    throw failure("invalid", `invalid ipam driver: ${JSON.stringify(driver)}`)
  if (!request.ipv4 && !request.ipv6) throw failure("invalid", "IPv4 or IPv6 must be enabled")
  // Every driver there is gives its endpoints addresses.
  if (driver === "null") throw failure("invalid", `${request.ipv4 ? "ipv4" : "ipv6"} pool is empty`)
}

/** Blocks that the engine's networks have. */
export const networkBlocks = (networks: readonly NetworkRecord[]): TakenBlock[] =>
  networks.flatMap(({ name, subnets }) =>
    subnets.map(({ subnet }) => ({ block: parseCidr(subnet), by: `network ${name}` })),
  )

/** Indexes of links that the engine's networks stand on. */
const ownLinks = (room: Room): Set<number> =>
  new Set([...room.segments.values()].map(({ footing }) => footing.index))

const subnetsFor = (
  room: Room,
  driver: Driver,
  request: NetworkCreate,
  host: HostNetwork,
): NetworkRecord["subnets"] => {
  const asked = checkPools(request)
  const families: Family[] = [...(request.ipv4 ? [4 as const] : []), ...(request.ipv6 ? [6 as const] : [])]
  const ownNames = new Set(room.removals.names())
  const own = new Set([
    ...ownLinks(room),
    ...host.links.filter(({ name }) => ownNames.has(name)).map(({ index }) => index),
  ])
  const used = usedBlocks(host, own, room.resolver().servers)
  const networks = networkBlocks(room.state.networks.list())
  const avoid: Cidr[] = used.map(({ block }) => block)
  return settleSubnets({
    asked,
    families,
    pools: room.pools,
    avoid,
    taken: driver.isGuarded ? [...networks, ...used] : networks,
    withGateways: driver.isGateway,
  })
}

/** Made and guarded side by side: it carries no packets before both are done. */
const raise = async (
  room: Room,
  driver: Driver,
  record: NetworkRecord,
  host: HostNetwork,
): Promise<Footing> => {
  if (!driver.isGuarded) return driver.raise(record, host)
  const [guarding, raising] = await Promise.allSettled([
    room.guard.addNetwork(guarded(record)),
    driver.raise(record, host),
  ])
  if (raising.status === "rejected") {
    await room.guard.removeNetwork(guarded(record).bridge).catch(() => undefined)
    throw raising.reason
  }
  if (guarding.status === "fulfilled") return raising.value
  await driver.lower(record)
  throw guarding.reason
}

/** See Networks.create. */
export const createNetwork = async (
  room: Room,
  request: NetworkCreate,
): Promise<{ network: NetworkRecord; warning: string }> => {
  checkName(room, request.name)
  const driver = driverOf(room, request)
  checkIpam(request)
  const id = randomBytes(32).toString("hex")
  interfacePrefix(request.options)
  driver.check(request, room.state.networks.list())
  const host = await readHostNetwork(room.kernel)
  const record: NetworkRecord = {
    id,
    name: request.name,
    driver: driver.name,
    createdAt: Date.now(),
    internal: request.internal,
    attachable: request.attachable,
    ipv4: request.ipv4,
    ipv6: request.ipv6,
    ipamDriver: request.ipam.driver || "default",
    ...(request.ipam.options === undefined ? {} : { ipamOptions: request.ipam.options }),
    options: request.options,
    labels: request.labels,
    subnets: subnetsFor(room, driver, request, host),
  }
  crashPoint("network-create:begun")
  const footing = await raise(room, driver, record, host)
  crashPoint("network-create:raised")
  try {
    const segment = new Segment(record, driver, footing, room.segmentTools, { isDefault: false })
    room.state.networks.put(id, record)
    crashPoint("network-create:recorded")
    room.segments.set(id, segment)
  } catch (error) {
    await driver
      .lower(record)
      .catch((cause: unknown) =>
        room.warn(`what was made of network ${record.name} could not be removed: ${errorMessage(cause)}`),
      )
    throw error
  }
  return { network: record, warning: "" }
}

/** See Networks.remove. */
export const removeNetwork = async (room: Room, reference: string): Promise<NetworkRecord> => {
  const record = getNetwork(room, reference)
  if (isPredefined(record.name))
    throw failure("forbidden", `${record.name} is a pre-defined network and cannot be removed`)
  const segment = room.segments.get(record.id)
  const active = room.members
    .on(record.id)
    .flatMap(({ lease }) =>
      lease.endpoints
        .filter((endpoint) => endpoint.record.network === record.id)
        .map(
          (endpoint) =>
            `name:"${lease.name.replace(/^\//, "")}" id:"${endpoint.record.endpointId.slice(0, 12)}"`,
        ),
    )
  if (active.length > 0 || (segment?.joining ?? 0) > 0)
    throw failure(
      "forbidden",
      `error while removing network: network ${record.name} has active endpoints (${active.join(", ")})`,
    )
  // From here on nobody finds it.
  room.segments.delete(record.id)
  room.state.networks.remove(record.id)
  crashPoint("network-remove:forgotten")
  try {
    await segment?.driver.lower(record)
  } catch (error) {
    room.warn(`what network ${record.name} was made of could not be removed: ${errorMessage(error)}`)
  }
  crashPoint("network-remove:lowered")
  void segment
    ?.close()
    .catch((error: unknown) =>
      room.warn(`namespaces prepared on network ${record.name} could not be let go: ${errorMessage(error)}`),
    )
  return record
}
