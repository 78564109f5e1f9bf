// What went over a container's interfaces, read on this host's ends and mirrored.
import { getLink, readLinks } from "../../kernel/netlink/netlink.ts"
import type { EndpointCounters } from "../network.ts"
import { routeRequest } from "../request.ts"
import type { Room } from "../room.ts"
import { defaultNetworkId } from "../room.ts"
import { readLease } from "./lease.ts"

/** See Networks.statistics. Endpoints without an end on this host are left out. */
export const statistics = async (room: Room, text: string): Promise<readonly EndpointCounters[]> => {
  const lease = room.members.find(text)?.lease ?? readLease(text, defaultNetworkId(room))
  const ends = lease.endpoints.filter(({ link }) => link !== "")
  const found: EndpointCounters[] = []
  for (const { link, record } of ends) {
    const replies = await routeRequest(room.kernel, [getLink({ name: link })]).catch(() => undefined)
    const counters = replies && readLinks(replies)[0]?.counters
    if (!counters) continue
    // What the host's end receives is what the container sent.
    found.push({
      name: record.interfaceName ?? "eth0",
      rxBytes: counters.txBytes,
      rxPackets: counters.txPackets,
      rxErrors: counters.txErrors,
      rxDropped: counters.txDropped,
      txBytes: counters.rxBytes,
      txPackets: counters.rxPackets,
      txErrors: counters.rxErrors,
      txDropped: counters.rxDropped,
    })
  }
  return found
}
