// Plans an exec: a further process with the container's identity, rights and cgroups.
import type { Kernel, Operation } from "../../kernel/kernel.ts"
import type { Process, Seccomp } from "../../oci/runtime-spec.ts"
import type { ContainerConfig } from "../../state/container.ts"
import { capabilitiesOf, containerCapabilities } from "../capabilities.ts"
import type { CgroupLayout } from "../cgroup/layout.ts"
import { processOperations, stdioOperation } from "../plan.ts"
import type { ExecRequest } from "../runtime.ts"
import { hasNoNewPrivileges, rlimit } from "../spec/process.ts"

/** The operations of an exec, without its verb. */
export type ExecPlan = (
  config: ContainerConfig,
  request: ExecRequest,
  layout: CgroupLayout,
) => Promise<readonly Operation[]>

export function execPlanner(
  kernel: Kernel,
  seccompOf: (
    config: ContainerConfig,
    kernelVersion: string,
  ) => (capabilities: readonly string[]) => Seccomp | undefined,
): ExecPlan {
  return async (config, request, layout) => {
    const features = await kernel.features()
    const own = containerCapabilities(config, features.capabilities)
    const given = request.privileged ? capabilitiesOf(features.capabilities) : own
    const [height, width] = request.consoleSize
    const process: Process = {
      terminal: request.tty,
      consoleSize: { height, width },
      user: { uid: 0, gid: 0, username: request.user || config.user, additionalGroups: config.groupAdd },
      args: request.argv,
      env: request.env,
      cwd: request.workingDirectory || config.workingDirectory || "/",
      capabilities: { bounding: given, effective: given, permitted: given, inheritable: [], ambient: [] },
      rlimits: (config.resources.ulimits ?? []).map(rlimit),
      noNewPrivileges: hasNoNewPrivileges(config),
      oomScoreAdj: config.oomScoreAdjust,
    }
    // The filter is the container's own, for the capabilities that its init has.
    const seccomp = seccompOf(config, features.kernelVersion)(own)
    const once = request.openStdin
    return [
      stdioOperation(process, request.openStdin, once),
      ...(request.expectedAttachments > 0
        ? [["attach-expect", String(request.expectedAttachments)] as const]
        : []),
      ...layout.all.map((directory): Operation => ["cgroup", directory]),
      ...processOperations(process, seccomp, false, "exist"),
    ]
  }
}
