// Makes connection tracking forget flows that would keep their old way to, or past, a published port.
import type { Kernel } from "../../kernel/kernel.ts"
import type { Flow } from "../../kernel/netlink/netlink.ts"
import { deleteFlow, FAMILY_IPV4, FAMILY_IPV6, listFlows, readFlows } from "../../kernel/netlink/netlink.ts"
import { familyOfAddress } from "../ipam/cidr.ts"
import { netfilterRequest } from "../request.ts"
import type { Publication } from "./guard.ts"
import { PROTOCOLS } from "./matches.ts"

/** Whether a flow's first packet was sent to one of the published ports. */
export const isTo = (flow: Flow, publication: Publication): boolean => {
  const { protocol, hostAddress, hostPort, count = 1 } = publication
  return (
    flow.protocol === PROTOCOLS[protocol] &&
    flow.destinationPort >= hostPort &&
    flow.destinationPort < hostPort + count &&
    familyOfAddress(flow.destination) === familyOfAddress(publication.address) &&
    (hostAddress === "0.0.0.0" || hostAddress === "::" || hostAddress === flow.destination)
  )
}

/**
 * A udp flow is translated as its first packet was, for as long as packets keep coming: one that began before a port was
 * published, or goes to a container that has gone, must be forgotten. Connections of tcp and sctp end by themselves.
 */
export const forgetFlowsTo = async (kernel: Kernel, publications: readonly Publication[]): Promise<void> => {
  const udp = publications.filter(({ protocol }) => protocol === "udp")
  for (const family of [FAMILY_IPV4, FAMILY_IPV6]) {
    const concerned = udp.filter(
      ({ address }) => (familyOfAddress(address) === 4) === (family === FAMILY_IPV4),
    )
    if (concerned.length === 0) continue
    const flows = readFlows(await netfilterRequest(kernel, [listFlows(family)]))
    // Each on its own: one that has ended meanwhile is an error that must not keep the others.
    for (const flow of flows)
      if (concerned.some((publication) => isTo(flow, publication)))
        await netfilterRequest(kernel, [deleteFlow(flow)]).catch(() => undefined)
  }
}
