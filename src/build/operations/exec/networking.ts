// The network of a step: a place on the default bridge from the pool, as containers get it, another network, the host's, or none.
import { errorKind, errorMessage, failure } from "../../../base/errors.ts"
import { type Networks, plainTexts } from "../../../network/network.ts"
import type { ContainerConfig } from "../../../state/state.ts"

export interface StepNetwork {
  /** As LaunchRequest has it. */
  readonly namespace: string
  readonly nameRelay?: string
  readonly hosts: string
  readonly resolvConf: string
  /** The launch has taken the namespace. */
  joined(): void
  /** Gives everything back; once is enough, and nobody waits for the kernel. */
  leave(): Promise<void>
}

const plain = (mode: "host" | "none", config: ContainerConfig): StepNetwork => ({
  namespace: mode === "host" ? "host" : "new",
  ...plainTexts(mode, config),
  joined: () => undefined,
  leave: () => Promise.resolve(),
})

/** Prepares the network that a step's config names. What it gives must be left. */
export const connectStep = async (
  networks: Networks,
  id: string,
  config: ContainerConfig,
): Promise<StepNetwork> => {
  const { networkMode: mode } = config
  if (mode === "host" || mode === "none") return plain(mode, config)
  if (mode.startsWith("container:"))
    throw failure("invalid", `network mode ${JSON.stringify(mode)} is not supported by build steps`)
  try {
    const attachment = await networks.join({
      containerId: id,
      containerName: id,
      hostname: config.hostname,
      domainname: "",
      mode,
      networks: [],
      ports: [],
      exposedPorts: [],
      publishAll: false,
      extraHosts: config.extraHosts,
      dns: [],
      dnsSearch: [],
      dnsOptions: [],
      links: [],
    })
    await attachment.ensure?.().catch(async (error: unknown) => {
      await networks.leave(attachment.lease)
      throw error
    })
    const { lease, namespace, nameRelay, hosts = "", resolvConf = "" } = attachment
    return {
      namespace,
      ...(nameRelay === undefined ? {} : { nameRelay }),
      hosts,
      resolvConf,
      joined: () => networks.joined(lease),
      leave: () => networks.leave(lease),
    }
  } catch (error) {
    throw failure(errorKind(error), `the network of the step could not be set up: ${errorMessage(error)}`, {
      cause: error instanceof Error ? error.cause : error,
    })
  }
}
