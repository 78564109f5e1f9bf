// What makes a fresh namespace a member of a bridge network: its netlink operations, in one plan.
import { failure } from "../base/errors.ts"
import type { Kernel, Operation, Plan } from "../kernel/kernel.ts"
import {
  addAddress,
  addRoute,
  createVeth,
  getLink,
  netlinkOperation,
  readLinks,
  setHairpin,
  setUp,
  withoutIpv6,
} from "../kernel/netlink/netlink.ts"
import { ipv4Number } from "./ipam/subnet.ts"
import { collect } from "./request.ts"

/** Index that eth0 gets in a fresh namespace, after lo, unless the kernel puts fallback tunnel devices there first. */
export const USUAL_INDEX = 2

export interface VethPlan {
  /** The name that the launcher holds the namespace by. */
  readonly held: string
  /** Name of the host's end. */
  readonly link: string
  readonly bridgeIndex: number
  readonly mtu: number
  readonly address: string
  readonly prefixLength: number
  readonly gateway: string
  readonly macAddress: string
  readonly hairpin: boolean
  /** Index that eth0 gets inside. A wrong one makes the plan fail. */
  readonly insideIndex: number
}

/** Docker's hardware address for an IPv4 address: 02:42 and the address. */
export const macAddressOf = (address: string): string =>
  `02:42:${ipv4Number(address)
    .toString(16)
    .padStart(8, "0")
    .replace(/(..)(?=.)/g, "$1:")}`

const pairOperation = (veth: VethPlan): Operation => {
  const link = { name: veth.link }
  return netlinkOperation("host", "route", [
    createVeth({
      name: veth.link,
      master: veth.bridgeIndex,
      mtu: veth.mtu,
      peerName: "eth0",
      peerMacAddress: veth.macAddress,
    }),
    withoutIpv6(link),
    ...(veth.hairpin ? [setHairpin(link)] : []),
    setUp(link),
  ])
}

/** The plan that creates and holds a namespace with eth0 on the bridge: one request, all or nothing. */
export const namespacePlan = (veth: VethPlan): Plan => {
  const inside = { index: veth.insideIndex }
  return [
    ["netns-create"],
    ["name", veth.held],
    pairOperation(veth),
    netlinkOperation("inside", "route", [
      // Naming it too makes the kernel refuse an index that is not eth0's: another link cannot take its name.
      withoutIpv6({ ...inside, name: "eth0" }),
      setUp(inside),
      addAddress({ link: veth.insideIndex, address: veth.address, prefixLength: veth.prefixLength }),
      addRoute({ prefixLength: 0, gateway: veth.gateway, link: veth.insideIndex }),
    ]),
  ]
}

/** Asks the kernel which index eth0 gets, by making a namespace and letting it go. */
export const learnInsideIndex = async (kernel: Kernel, veth: VethPlan): Promise<number> => {
  await kernel.perform([["netns-create"], ["name", veth.held], pairOperation(veth)])
  try {
    const replies = await collect(kernel, [
      ["netlink"],
      ["namespace", `held:${veth.held}`],
      netlinkOperation("inside", "route", [getLink({ name: "eth0" })]),
    ])
    const [link] = readLinks(replies)
    if (!link) throw failure("internal", "a fresh network namespace has no eth0; the kernel may lack veth")
    return link.index
  } finally {
    await kernel.perform([["netns-drop"], ["name", veth.held]])
  }
}
