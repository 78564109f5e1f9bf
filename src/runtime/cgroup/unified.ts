// Makes the way to a container's v2 cgroup: controllers must be enabled in every cgroup above it.
import { mkdirSync } from "node:fs"
import { failure } from "../../base/errors.ts"
import type { KernelFeatures } from "../../kernel/kernel.ts"
import { readCgroup, writeCgroup } from "./files.ts"

const wanted = ["cpuset", "cpu", "io", "memory", "pids"]

/**
 * Creates the cgroups above `path` (beneath the mount) and enables the controllers in them that are there.
 * Throws internal when the kernel refuses.
 */
export function prepareUnified(features: KernelFeatures, path: string): void {
  const root = features.cgroupV2
  if (root === undefined)
    throw failure("unavailable", "No cgroup hierarchy is mounted; mount cgroup2 on /sys/fs/cgroup")
  let directory = root
  for (const part of path.split("/").slice(1)) {
    enableControllers(directory)
    directory = `${directory}/${part}`
    // The container's own cgroup is the launcher's to make, with its undo.
    if (directory !== `${root}${path}`) mkdirSync(directory, { recursive: true })
  }
}

function enableControllers(directory: string): void {
  const available = new Set(readCgroup(`${directory}/cgroup.controllers`)?.trim().split(" "))
  const enabled = new Set(readCgroup(`${directory}/cgroup.subtree_control`)?.trim().split(" "))
  for (const controller of wanted)
    if (available.has(controller) && !enabled.has(controller))
      writeCgroup(`${directory}/cgroup.subtree_control`, `+${controller}`)
}
