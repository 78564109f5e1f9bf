// How this host's ::1 reaches published ports: answers for it come in by the bridge, where it must be a local address too.
import type { Kernel } from "../../kernel/kernel.ts"
import { localRoute } from "../../kernel/netlink/netlink.ts"
import { routeRequest } from "../request.ts"

/**
 * Behind the loopback's own route (metric 0); no two bridges' may be the same. The kernel drops packets for ::1 that come by
 * any wire before it looks at routes: only answers whose translation is undone get this far.
 */
const METRIC = 4096

/** To be called when a bridge with IPv6 is up; done again it changes nothing. It goes with the bridge. */
export const letLoopbackAnswersIn = async (kernel: Kernel, bridgeIndex: number): Promise<void> => {
  await routeRequest(kernel, [localRoute("::1", bridgeIndex, METRIC + bridgeIndex)])
}
