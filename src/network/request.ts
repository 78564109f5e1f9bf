// One netlink request through the launcher, its replies as one buffer.
import { type Kernel, LauncherFailure, type Plan } from "../kernel/kernel.ts"
import type { Message } from "../kernel/netlink/netlink.ts"
import { netlinkOperation } from "../kernel/netlink/netlink.ts"

/** All bytes that a plan yields. For netlink plans, whose replies are small. */
export const collect = async (kernel: Kernel, plan: Plan): Promise<Buffer> => {
  const chunks: Uint8Array[] = []
  for await (const chunk of kernel.receive(plan)) chunks.push(chunk)
  return chunks.length === 1 && chunks[0] ? Buffer.from(chunks[0]) : Buffer.concat(chunks)
}

/** How often a list is asked for again that changed while the kernel wrote it. */
const TRIES = 20

/** Whether the kernel refused a request with one of these errors ("ENODEV"). */
export const isRefusal = (error: unknown, ...names: readonly string[]): boolean =>
  error instanceof LauncherFailure && names.includes(error.errnoName)

/** Sends a plan again that listed what changed meanwhile: on a busy machine links and rules come and go all the time. */
const collectSteady = async (kernel: Kernel, plan: Plan): Promise<Buffer> => {
  for (let tries = 1; ; tries++)
    try {
      return await collect(kernel, plan)
    } catch (error) {
      if (tries === TRIES || !isRefusal(error, "EINTR")) throw error
    }
}

/** rtnetlink messages in the host's namespace, sent in one request; the replies of all of them. */
export const routeRequest = (kernel: Kernel, messages: readonly Message[]): Promise<Buffer> =>
  collectSteady(kernel, [["netlink"], ["namespace", "host"], netlinkOperation("host", "route", messages)])

/** nf_tables messages in the host's namespace, in one request; a batch takes effect as one. */
export const netfilterRequest = (kernel: Kernel, messages: readonly Message[]): Promise<Buffer> =>
  collectSteady(kernel, [["netlink"], ["namespace", "host"], netlinkOperation("host", "netfilter", messages)])
