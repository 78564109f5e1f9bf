// Bridges on this host: found or made, up, with their gateways' addresses.
import { createHash } from "node:crypto"
import { failure } from "../../base/errors.ts"
import type { Kernel } from "../../kernel/kernel.ts"
import type { Link, LinkAddress } from "../../kernel/netlink/netlink.ts"
import {
  addAddress,
  createBridge,
  deleteAddress,
  getLink,
  readLinks,
  setAlias,
  setUp,
  withoutIpv6,
} from "../../kernel/netlink/netlink.ts"
import type { HostNetwork } from "../host-network.ts"
import { readHostNetwork } from "../host-network.ts"
import type { Cidr } from "../ipam/cidr.ts"
import { holdsAddress } from "../ipam/cidr.ts"
import { routeRequest } from "../request.ts"

export interface BridgePlan {
  readonly name: string
  readonly mtu: number
  /** What its hardware address is derived from: the same each time it is made. */
  readonly identity: string
  /** Written on the link when it is made here. */
  readonly alias: string
  /** Blocks of the network; addresses of the bridge outside of them are another time's. */
  readonly blocks: readonly Cidr[]
  /** Addresses that it must have. */
  readonly addresses: readonly { readonly address: string; readonly prefixLength: number }[]
  /** What else it needs before it is up. */
  readonly prepare: () => void
}

/** 02:42 as Docker has it, and four bytes of a hash. */
const bridgeMacAddress = (identity: string): string => {
  const hash = createHash("sha256").update(identity).digest("hex").slice(0, 8)
  return `02:42:${hash.replace(/(..)(?=.)/g, "$1:")}`
}

const make = async (kernel: Kernel, plan: BridgePlan): Promise<Link> => {
  const link = { name: plan.name }
  const [made] = readLinks(
    await routeRequest(kernel, [
      createBridge(plan.name, plan.mtu, bridgeMacAddress(plan.identity)),
      setAlias(link, plan.alias),
      withoutIpv6(link),
      getLink(link),
    ]),
  )
  if (!made) throw failure("internal", `bridge ${plan.name} vanished while it was set up; try again`)
  return made
}

/** Throws Failure "conflict" when a name belongs to something that is no bridge. */
export const requireBridge = (link: Link | undefined, name: string): Link | undefined => {
  if (link && link.kind !== "bridge")
    throw failure(
      "conflict",
      `network interface ${name} exists and is no bridge; remove it or choose another bridge name`,
    )
  return link
}

/** A fresh bridge, up and with its addresses. The name must be free (errno EEXIST otherwise). */
const makeBridge = async (kernel: Kernel, plan: BridgePlan): Promise<Link> => {
  const link = await make(kernel, plan)
  plan.prepare()
  await routeRequest(kernel, [
    ...plan.addresses.map((address) => addAddress({ ...address, link: link.index })),
    setUp({ index: link.index }),
  ])
  return link
}

/** Gives a bridge that is there what it lacks. */
const mendBridge = async (kernel: Kernel, plan: BridgePlan, link: Link, host: HostNetwork): Promise<void> => {
  const present = host.addresses.filter((address) => address.link === link.index)
  const isAsked = (one: LinkAddress): boolean =>
    plan.addresses.some((two) => two.address === one.address && two.prefixLength === one.prefixLength)
  const isForeign = (one: LinkAddress): boolean =>
    !/^fe80:/i.test(one.address) && !plan.blocks.some((block) => holdsAddress(block, one.address))
  const missing = plan.addresses.filter(
    (one) => !present.some((two) => two.address === one.address && two.prefixLength === one.prefixLength),
  )
  const foreign = present.filter((address) => !isAsked(address) && isForeign(address))
  plan.prepare()
  const messages = [
    ...foreign.map(deleteAddress),
    ...missing.map((address) => addAddress({ ...address, link: link.index })),
    ...(link.up ? [] : [setUp({ index: link.index })]),
  ]
  if (messages.length > 0) await routeRequest(kernel, messages)
}

/** Makes sure that the bridge is there, is up, and has its addresses; says whether it had to be made. */
export const ensureBridge = async (
  kernel: Kernel,
  plan: BridgePlan,
  host?: HostNetwork,
): Promise<{ link: Link; isNew: boolean }> => {
  const seen = host ?? (await readHostNetwork(kernel))
  const found = requireBridge(
    seen.links.find((link) => link.name === plan.name),
    plan.name,
  )
  if (!found) return { link: await makeBridge(kernel, plan), isNew: true }
  await mendBridge(kernel, plan, found, seen)
  return { link: found, isNew: false }
}
