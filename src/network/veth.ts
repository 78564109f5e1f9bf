// What makes a fresh namespace a member of a bridge network: its netlink operations, in one plan.
import type { Operation, Plan } from "../kernel/kernel.ts"
import {
  addAddress,
  addRoute,
  createVeth,
  netlinkOperation,
  setHairpin,
  setUp,
  withoutIpv6,
} from "../kernel/netlink/netlink.ts"
import { ipv4Number } from "./ipam/subnet.ts"

/** Index of eth0 in every namespace: high enough that no fallback tunnel device of the kernel can have it. */
const INSIDE_INDEX = 64

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
}

/** Docker's hardware address for an IPv4 address: 02:42 and the address. */
export const macAddressOf = (address: string): string =>
  `02:42:${ipv4Number(address)
    .toString(16)
    .padStart(8, "0")
    .replace(/(..)(?=.)/g, "$1:")}`

/** The plan that creates and holds a namespace with eth0 on the bridge: one request, all or nothing. */
export const namespacePlan = (veth: VethPlan): Plan => {
  const link = { name: veth.link }
  const inside = { index: INSIDE_INDEX }
  const operations: Operation[] = [
    netlinkOperation("host", "route", [
      createVeth({
        name: veth.link,
        master: veth.bridgeIndex,
        mtu: veth.mtu,
        peerName: "eth0",
        peerIndex: INSIDE_INDEX,
        peerMacAddress: veth.macAddress,
      }),
      withoutIpv6(link),
      ...(veth.hairpin ? [setHairpin(link)] : []),
      setUp(link),
    ]),
    netlinkOperation("inside", "route", [
      withoutIpv6(inside),
      setUp(inside),
      addAddress({ link: INSIDE_INDEX, address: veth.address, prefixLength: veth.prefixLength }),
      addRoute({ prefixLength: 0, gateway: veth.gateway, link: INSIDE_INDEX }),
    ]),
  ]
  return [["netns-create"], ["name", veth.held], ...operations]
}
