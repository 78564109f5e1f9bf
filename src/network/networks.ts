// The network room put together: its parts made once, its verbs handed to the files that do them.
import { readFileSync } from "node:fs"
import { hostname } from "node:os"
import { errorMessage, failure } from "../base/errors.ts"
import { KeyedMutex } from "../base/keyed-mutex.ts"
import { deleteLink } from "../kernel/netlink/netlink.ts"
import { openDefaultBridge } from "./bridge/default-bridge.ts"
import { forwardIpv4 } from "./bridge/sysctls.ts"
import { Intents } from "./containers/intents.ts"
import { join } from "./containers/join.ts"
import { ended, joined, leave } from "./containers/leave.ts"
import { changePorts, connect, disconnect, rename } from "./containers/living.ts"
import { Members } from "./containers/members.ts"
import { statistics } from "./containers/statistics.ts"
import { createNetwork, networkBlocks, removeNetwork } from "./create-network.ts"
import { nameServer } from "./dns/name-server.ts"
import { redirectOperations } from "./dns/redirect.ts"
import type { Driver } from "./driver.ts"
import { openDrivers } from "./drivers.ts"
import { hostResolver } from "./files/resolv-conf.ts"
import { Firewall } from "./firewall/firewall.ts"
import { defaultPools, parsePool, privatePool } from "./ipam/address-pools.ts"
import { cidrText, parseCidr } from "./ipam/cidr.ts"
import type { Networks } from "./network.ts"
import { openRoom } from "./open.ts"
import { checkedBridgeName, type NetworksOptions } from "./options.ts"
import { Departures } from "./pool/departures.ts"
import { HeldNamespaces } from "./pool/held.ts"
import { Namespaces } from "./pool/namespaces.ts"
import { HostPorts } from "./ports/host-ports.ts"
import { findNetwork } from "./records.ts"
import { Removals } from "./removals.ts"
import { routeRequest } from "./request.ts"
import { getNetwork, type Room } from "./room.ts"
import type { Segment } from "./segment.ts"

const SUBNET_KEY = "network.subnet"
const LARGEST_POOL = 16
/** All pools together hold this many times what one may. */
const POOLS = 4

/** What tells this machine from others, for addresses that should differ between them. */
const machineId = (): string => {
  try {
    return readFileSync("/etc/machine-id", "latin1").trim()
  } catch {
    return hostname()
  }
}

const buildRoom = (options: NetworksOptions, bridgeName: string, mark: string): Room => {
  const { kernel, state } = options
  const warn = (message: string): void => options.warn?.(message)
  const guard = new Firewall(kernel, options.instance === "" ? "sloop" : `sloop-${options.instance}`, {
    ...(options.firewallMode === undefined ? {} : { mode: options.firewallMode }),
    warn,
  })
  const removals = new Removals(kernel, warn)
  const departures = new Departures(removals)
  const held = new HeldNamespaces(kernel, bridgeName, warn)
  const segments = new Map<string, Segment>()
  const poolSize = options.poolSize ?? LARGEST_POOL
  const drivers: ReadonlyMap<string, Driver> = openDrivers({
    kernel,
    guard,
    removals,
    mark,
    networks: () => state.networks.list(),
    mtu: () => [...segments.values()].find(({ isDefault }) => isDefault)?.footing.mtu ?? 1500,
    warn,
  })
  return {
    kernel,
    state,
    drivers,
    guard,
    ports: new HostPorts(),
    members: new Members(),
    segments,
    segmentTools: {
      kernel,
      held,
      departures,
      namespaces: new Namespaces(kernel),
      nameOperations: (fresh) => redirectOperations({ fresh }),
      poolSize,
      hasRoom: () => [...segments.values()].reduce((sum, { pool }) => sum + pool.size, 0) < poolSize * POOLS,
      warn,
    },
    held,
    departures,
    removals,
    intents: new Intents(state),
    ...(options.nameSocket === undefined ? {} : { names: nameServer({ path: options.nameSocket, warn }) }),
    resolver: hostResolver(),
    hostGateways: options.hostGateways ?? [],
    publishDefault: options.publishDefault ?? "",
    pools: [
      ...(options.defaultPools?.map(parsePool) ?? defaultPools),
      privatePool(`${bridgeName} ${machineId()}`),
    ],
    warn,
  }
}

/** See {@link Networks}. Nothing is touched before open(). */
export const openNetworks = (options: NetworksOptions): Networks => {
  const bridgeName = checkedBridgeName(options)
  const mark = `sloop ${bridgeName} `
  const room = buildRoom(options, bridgeName, mark)
  const { state, warn } = room
  const creating = new KeyedMutex()
  let isOpen = false
  const opened = (): Room => {
    if (!isOpen) throw failure("unavailable", "the default bridge network is not set up yet")
    return room
  }

  return {
    async open(leases) {
      const stored = options.subnet ?? state.settings.find(SUBNET_KEY)
      const others = state.networks.list().filter(({ name }) => name !== "bridge")
      const bridge = await openDefaultBridge(room.kernel, {
        name: bridgeName,
        alias: mark.trim(),
        pools: room.pools,
        ...(stored === undefined ? {} : { subnet: parseCidr(stored) }),
        keep: leases.length > 0 || options.subnet !== undefined,
        avoid: room.resolver().servers,
        taken: networkBlocks(others).map(({ block }) => block),
      })
      forwardIpv4().forEach(warn)
      if (state.settings.find(SUBNET_KEY) !== cidrText(bridge.subnet))
        state.settings.put(SUBNET_KEY, cidrText(bridge.subnet))
      await openRoom(room, mark, bridge, leases)
      isOpen = true
      await room.guard
        .watch()
        .catch((error: unknown) => warn(`changes of firewalls are not noticed: ${errorMessage(error)}`))
    },
    create: (request) => creating.run("networks", () => createNetwork(opened(), request)),
    remove: (reference) => removeNetwork(opened(), reference),
    connect: (container, request, network) => connect(opened(), container, request, network),
    disconnect: (container, request, reference) => disconnect(opened(), container, request, reference),
    changePorts: (container, request, change) => changePorts(opened(), container, request, change),
    rename: (lease, name) => rename(opened(), lease, name),
    join: (request) => join(opened(), request),
    joined: (lease) => joined(opened(), lease),
    ended: (lease) => ended(room, lease),
    leave: (lease) => leave(opened(), lease),
    get: (reference) => getNetwork(room, reference),
    find: (reference) => findNetwork(state, reference),
    list: () => state.networks.list(),
    statistics: (lease) => statistics(room, lease),
    async close({ remove }) {
      for (const segment of room.segments.values()) await segment.close()
      room.departures.close()
      room.intents.close()
      await room.held.close()
      await room.removals.settled()
      await room.guard.settled()
      await room.names?.close()
      if (!remove || !isOpen) return room.guard.close()
      await room.guard.remove()
      for (const { driver, record, isDefault } of room.segments.values())
        if (!isDefault) await driver.lower(record)
      await routeRequest(room.kernel, [deleteLink({ name: bridgeName })])
      await room.removals.settled()
      isOpen = false
    },
  }
}
