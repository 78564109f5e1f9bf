// Kernel parameters of a container's namespaces: what may be set, and the defaults.
import { failure } from "../../base/errors.ts"
import type { ContainerConfig } from "../../state/container.ts"
import type { With } from "./spec.ts"

const ipcSysctls = new Set([
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.sem",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
  "kernel.shm_rmid_forced",
])

/** Throws invalid for a sysctl that belongs to no namespace of the container's own. */
export function checkSysctl(name: string, config: ContainerConfig): void {
  const dotted = name.replaceAll("/", ".")
  const own = (namespace: string): never => {
    throw failure("invalid", `sysctl '${name}' not allowed in host ${namespace} namespace`)
  }
  if (ipcSysctls.has(dotted) || dotted.startsWith("fs.mqueue.")) {
    if (config.ipcMode === "host") own("ipc")
    return
  }
  if (dotted.startsWith("net.")) {
    if (config.networkMode === "host") own("network")
    return
  }
  if (dotted === "kernel.domainname" || dotted === "kernel.hostname") {
    if (config.utsMode === "host") own("uts")
    return
  }
  throw failure(
    "invalid",
    `sysctl '${name}' is not whitelisted: it is not confined to the container's namespaces`,
  )
}

/** Asked-for sysctls over the defaults of a network namespace of one's own. */
export const withSysctls: With = (spec, { request }) => {
  const { config, networkNamespace } = request
  for (const name of Object.keys(config.sysctls)) checkSysctl(name, config)
  // A joined container's namespace has its values already, perhaps changed by its owner.
  const own = networkNamespace !== "host" && !config.networkMode.startsWith("container:")
  spec.linux.sysctl = {
    ...(own && { "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647" }),
    ...config.sysctls,
  }
}
