// Builds the OCI spec of a container, as Docker would: pure but for looking up device numbers on the host.
import type { KernelFeatures } from "../../kernel/kernel.ts"
import type { Seccomp, Spec } from "../../oci/runtime-spec.ts"
import { containerCapabilities } from "../capabilities.ts"
import { type CgroupLayout, cgroupLayout, cgroupPath } from "../cgroup/layout.ts"
import type { LaunchRequest } from "../runtime.ts"
import { withDevices } from "./devices.ts"
import { withMounts } from "./mounts.ts"
import { withNamespaces } from "./namespaces.ts"
import { withProcess } from "./process.ts"
import { withResources } from "./resources.ts"
import { withSecurity } from "./security.ts"
import { withSysctls } from "./sysctls.ts"

/** What the parts of a spec are made from. */
export interface SpecInput {
  readonly request: LaunchRequest
  readonly features: KernelFeatures
  /** Default parent cgroup; the config's own comes first. */
  readonly cgroupParent: string
  /** The filter for these capabilities; undefined = unconfined. */
  readonly seccomp: (capabilities: readonly string[]) => Seccomp | undefined
}

/** A step of the building: completes the spec in place. */
export type With = (spec: Spec, context: SpecContext) => void

/** The input with what several steps need of it. */
export interface SpecContext extends SpecInput {
  readonly capabilities: readonly string[]
  readonly layout: CgroupLayout
}

const steps: readonly With[] = [
  withProcess,
  withNamespaces,
  withMounts,
  withDevices,
  withSecurity,
  withSysctls,
  withResources,
]

/** The spec of a container. Throws invalid for what its config asks wrongly, not-found for missing host devices. */
export function buildSpec(input: SpecInput): { spec: Spec; layout: CgroupLayout } {
  const { request, features } = input
  const { config } = request
  const path = cgroupPath(config.resources.cgroupParent || input.cgroupParent, request.id)
  const layout = cgroupLayout(features, path)
  const capabilities = containerCapabilities(config, features.capabilities)
  const spec: Spec = {
    ociVersion: "1.2.0",
    process: { user: { uid: 0, gid: 0 }, args: request.argv, env: request.env, cwd: "/" },
    root: { path: "rootfs", readonly: config.readOnlyRoot },
    mounts: [],
    annotations: config.annotations,
    linux: {
      namespaces: [],
      devices: [],
      cgroupsPath: path,
      resources: {},
      sysctl: {},
      maskedPaths: [],
      readonlyPaths: [],
    },
  }
  const context: SpecContext = { ...input, capabilities, layout }
  for (const step of steps) step(spec, context)
  return { spec, layout }
}
