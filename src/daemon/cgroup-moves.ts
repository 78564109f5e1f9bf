// Asks the kernel for cheap moves between cgroups, a setting of the whole host (docs/decisions/0004).
import { errorMessage } from "../base/errors.ts"
import { createLog } from "../base/log.ts"
import type { Kernel } from "../kernel/kernel.ts"

const log = createLog("daemon")

/** Sets `favordynmods` unless it is set already. A kernel that does not know it starts containers all the same, slower. */
export async function favorCgroupMoves(kernel: Kernel): Promise<void> {
  try {
    const answer = await kernel.perform([["cgroup-favor-moves"]])
    if (answer.get("changed")?.[0] === "yes")
      log.info("set favordynmods on the cgroup hierarchy, so that starts need not wait for a grace period")
  } catch (error) {
    log.info(`cgroup moves stay slow on this kernel: ${errorMessage(error)}`)
  }
}
