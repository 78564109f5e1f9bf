// What this machine can do: the launcher's probe, and where the cgroup hierarchies are mounted.
import { readFileSync } from "node:fs"
import { release } from "node:os"
import type { Answer, KernelFeatures } from "./kernel.ts"

const v1Controllers = new Set([
  "cpu",
  "cpuacct",
  "cpuset",
  "memory",
  "devices",
  "freezer",
  "blkio",
  "pids",
  "net_cls",
  "net_prio",
  "perf_event",
  "hugetlb",
  "rdma",
  "misc",
])

/** Where cgroups are mounted, from the text of /proc/self/mountinfo. */
export function parseCgroupMounts(
  mountinfo: string,
): Pick<KernelFeatures, "cgroupMode" | "cgroupV1" | "cgroupV2"> {
  const cgroupV1 = new Map<string, string>()
  let cgroupV2: string | undefined
  for (const line of mountinfo.split("\n")) {
    const [before = "", after = ""] = line.split(" - ")
    const path = unescapeMount(before.split(" ")[4] ?? "")
    const [type, , superOptions = ""] = after.split(" ")
    if (type === "cgroup2") cgroupV2 ??= path
    if (type !== "cgroup") continue
    for (const option of superOptions.split(","))
      if ((v1Controllers.has(option) || option.startsWith("name=")) && !cgroupV1.has(option))
        cgroupV1.set(option, path)
  }
  const cgroupMode = cgroupV1.size === 0 ? "v2" : cgroupV2 === undefined ? "v1" : "hybrid"
  return { cgroupMode, cgroupV1, cgroupV2 }
}

const unescapeMount = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))

function boundingSet(raw: Answer): bigint {
  const probed = raw.get("capabilities")?.[0]
  if (probed !== undefined && /^[0-9a-f]+$/.test(probed)) return BigInt(`0x${probed}`)
  const own = /^CapBnd:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))
  return BigInt(`0x${own?.[1] ?? "0"}`)
}

/** The machine's features from the answer of `probe`. */
export function readFeatures(raw: Answer): KernelFeatures {
  return {
    kernelVersion: raw.get("kernel")?.[0] ?? release(),
    ...parseCgroupMounts(readFileSync("/proc/self/mountinfo", "utf8")),
    capabilities: boundingSet(raw),
    raw,
  }
}
