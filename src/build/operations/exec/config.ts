// A step as the runtime's container config: pure. What a build may not have is refused here, for every way that leads to a run.
import { failure } from "../../../base/errors.ts"
import type { Resources } from "../../../state/container.ts"
import { type ContainerConfig, plainConfig } from "../../../state/state.ts"
import type { BuildRequest } from "../../build.ts"
import type { ExecNode } from "../../graph/graph.ts"

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/** What a step is called inside; as BuildKit calls it. */
const sandboxName = "buildkitsandbox"

/** "default", "none", "host", or the name of a network. */
export const networkOf = (node: ExecNode, request: BuildRequest): string => {
  if (node.network !== "default") return node.network
  return request.network === "" || request.network === "bridge" ? "default" : request.network
}

/** Throws forbidden, in BuildKit's words, unless the build was granted what the step needs. The one gate before a run. */
export const checkEntitlements = (node: ExecNode, request: BuildRequest): void => {
  const needed = [
    ...(networkOf(node, request) === "host" ? ["network.host"] : []),
    ...(node.security === "insecure" ? ["security.insecure"] : []),
  ]
  for (const entitlement of needed)
    if (!request.entitlements.includes(entitlement))
      throw failure(
        "forbidden",
        `${entitlement} is not allowed: build again with --allow ${entitlement} if you trust the Dockerfile`,
      )
}

const resourcesOf = (request: BuildRequest): Resources => {
  const { memory, memorySwap, cpuShares, cpuQuota, cpuPeriod, cpusetCpus, cpusetMems } = request
  return {
    ...(memory > 0 ? { memory } : {}),
    ...(memorySwap === 0 ? {} : { memorySwap }),
    ...(cpuShares > 0 ? { cpuShares } : {}),
    ...(cpuQuota > 0 ? { cpuQuota } : {}),
    ...(cpuPeriod > 0 ? { cpuPeriod } : {}),
    ...(cpusetCpus === "" ? {} : { cpusetCpus }),
    ...(cpusetMems === "" ? {} : { cpusetMems }),
    ...(request.ulimits.length > 0 ? { ulimits: request.ulimits } : {}),
    ...(request.cgroupParent === "" ? {} : { cgroupParent: request.cgroupParent }),
  }
}

/** Name of the machine as the step sees it: the classic builder's steps are containers of their own. */
const hostnameOf = ({ hostname }: ExecNode, request: BuildRequest, id: string): string =>
  hostname !== "" ? hostname : request.face === "classic" ? id.slice(-12) : sandboxName

/** Variables of the step, with those that every process expects. HOME is the launcher's. */
export const environmentOf = (node: ExecNode, hostname: string, request: BuildRequest): string[] => {
  const has = (name: string) => node.env.some((entry) => entry.startsWith(`${name}=`))
  return [
    ...(has("PATH") ? [] : [defaultPath]),
    ...(request.face === "classic" && !has("HOSTNAME") ? [`HOSTNAME=${hostname}`] : []),
    ...node.proxyEnv,
    ...node.env,
  ]
}

/** The config of a step's container. `id` is the run's. */
export const configOf = (node: ExecNode, request: BuildRequest, id: string): ContainerConfig =>
  plainConfig({
    hostname: hostnameOf(node, request, id),
    user: node.user,
    env: node.env,
    command: node.argv,
    workingDirectory: node.workingDirectory === "" ? "/" : node.workingDirectory,
    resources: resourcesOf(request),
    autoRemove: true,
    privileged: node.security === "insecure",
    shmSize: request.shmSize,
    extraHosts: [...request.extraHosts, ...node.extraHosts],
    networkMode: networkOf(node, request),
    logDriver: "none",
  })
