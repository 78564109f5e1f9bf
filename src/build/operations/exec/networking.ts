// The network of a step: a place on the default bridge from the pool, as containers get it, another network, the host's, or none.
import { readFileSync } from "node:fs"
import { errorKind, errorMessage, failure } from "../../../base/errors.ts"
import { localHosts, type Networks } from "../../../network/network.ts"
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

const hostText = (path: string): string => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    // A host without the file gives its steps an empty one.
    return ""
  }
}

const extraLine = (entry: string): string => {
  const [, name = "", address = ""] = /^([^:=]+)[:=](.+)$/.exec(entry) ?? []
  if (name === "") throw failure("invalid", `bad format for add-host: ${JSON.stringify(entry)}`)
  return `${address === "host-gateway" ? "127.0.0.1" : address.replace(/^\[(.*)\]$/, "$1")}\t${name}`
}

const plain = (mode: "host" | "none", config: ContainerConfig): StepNetwork => {
  const base = mode === "host" ? hostText("/etc/hosts").replace(/\n*$/, "") : localHosts.join("\n")
  return {
    namespace: mode === "host" ? "host" : "new",
    hosts: `${[base, ...config.extraHosts.map(extraLine)].join("\n")}\n`,
    resolvConf: hostText("/etc/resolv.conf"),
    joined: () => undefined,
    leave: () => Promise.resolve(),
  }
}

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
