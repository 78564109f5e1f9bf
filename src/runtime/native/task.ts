// A running container behind its monitor.
import type { KernelFeatures, Monitor, StartedExec } from "../../kernel/kernel.ts"
import type { ContainerConfig, Resources } from "../../state/container.ts"
import { memberPids } from "../cgroup/files.ts"
import { setFrozen } from "../cgroup/freezer.ts"
import type { CgroupLayout } from "../cgroup/layout.ts"
import { readUsage } from "../cgroup/reading.ts"
import { updateLimits } from "../cgroup/update.ts"
import type { ExecRequest, Task } from "../runtime.ts"
import { changedLimits } from "../spec/resources.ts"
import { validateResources } from "../validate.ts"
import type { ExecPlan } from "./exec.ts"
import { execFailure } from "./failures.ts"

/** The task of a monitor whose container has these cgroups. */
export function taskOf(
  id: string,
  monitor: Monitor,
  place: { readonly layout: CgroupLayout; readonly features: KernelFeatures },
  planExec: ExecPlan,
): Task {
  const { layout, features } = place
  return {
    id,
    pid: monitor.pid,
    rootPid: monitor.pid,
    exited: monitor.exited,
    cleared: monitor.cleared,
    attach: (streams) => monitor.attach(streams),
    signal: (number) => monitor.signal(number),
    resize: (rows, columns) => monitor.resize(rows, columns),
    exec: async (config: ContainerConfig, request: ExecRequest): Promise<StartedExec> => {
      const operations = await planExec(config, request, layout)
      try {
        return await monitor.exec(request.id, operations, request.attach)
      } catch (error) {
        throw execFailure(error)
      }
    },
    findExec: (execId) => monitor.findExec(execId),
    onOom: (listener) => monitor.onOom(listener),
    expectExec: () => monitor.expectExec(),
    pause: () => setFrozen(layout, true),
    resume: () => setFrozen(layout, false),
    update: async (resources: Resources) => {
      validateResources(resources, features, "update")
      updateLimits(layout, changedLimits(resources))
    },
    read: async () => readUsage(layout),
    relayNames: (path) => monitor.relayNames(path, id),
    pids: async () => memberPids(layout.members),
    release: () => monitor.release(),
  }
}
