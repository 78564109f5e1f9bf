// Which namespaces a container gets, joins or leaves as the host's.
import { failure } from "../../base/errors.ts"
import type { Namespace, NamespaceType } from "../../oci/runtime-spec.ts"
import type { ContainerConfig } from "../../state/container.ts"
import type { With } from "./spec.ts"

/** The id in "container:ID", if it is one. */
export const containerOf = (mode: string): string | undefined =>
  mode.startsWith("container:") ? mode.slice("container:".length) : undefined

/** A container gets a cgroup namespace of its own, on v1 too, unless the host's is asked for. */
const hasCgroupNamespace = (config: ContainerConfig): boolean => config.cgroupnsMode !== "host"

export const withNamespaces: With = (spec, { request }) => {
  const { config, joined } = request
  const namespaces: Namespace[] = [{ type: "mount" }]
  const add = (type: NamespaceType, mode: string, path: string | undefined) => {
    if (mode === "host") return
    if (containerOf(mode) === undefined) namespaces.push({ type })
    else if (path !== undefined) namespaces.push({ type, path })
    else throw failure("internal", `The ${type} namespace of ${mode} was not resolved`)
  }
  if (request.networkNamespace !== "host")
    namespaces.push({ type: "network", path: request.networkNamespace })
  add("pid", config.pidMode, joined.pid)
  add("ipc", config.ipcMode, joined.ipc)
  add("uts", config.utsMode, joined.uts)
  if (hasCgroupNamespace(config)) namespaces.push({ type: "cgroup" })
  spec.linux.namespaces = namespaces
}
