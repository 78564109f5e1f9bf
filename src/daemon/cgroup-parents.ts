// Takes away the cgroups above the containers' own when an engine ends without any.
import { rmdirSync } from "node:fs"
import { join } from "node:path"
import type { KernelFeatures } from "../kernel/kernel.ts"

/** Removes the parent from every hierarchy where nothing is left in it. */
export function removeCgroupParents({ cgroupV1, cgroupV2 }: KernelFeatures, parent: string): void {
  for (const mount of new Set([...cgroupV1.values(), ...(cgroupV2 === undefined ? [] : [cgroupV2])])) {
    try {
      rmdirSync(join(mount, parent))
    } catch {
      // It is not there, or somebody is in it.
    }
  }
}
