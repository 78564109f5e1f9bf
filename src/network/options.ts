// How an engine's networks are configured.
import { createHash } from "node:crypto"
import { failure } from "../base/errors.ts"
import type { Kernel } from "../kernel/kernel.ts"
import type { State } from "../state/state.ts"
import { isInterfaceName } from "./bridge/options.ts"
import type { FirewallMode } from "./firewall/guard.ts"

export interface NetworksOptions {
  readonly kernel: Kernel
  readonly state: State
  /** Short name of this engine among those of the machine (letters, digits, "-", "_"); "" = the default one. */
  readonly instance: string
  /** Name of the bridge; otherwise "sloop0", or "sl" and a hash for a named instance. At most 15 bytes. */
  readonly bridgeName?: string
  /** CIDR of the default bridge; otherwise the first free default pool, remembered in the state. */
  readonly subnet?: string
  /** Pools to choose subnets from instead of Docker's: "base=CIDR,size=N", or a CIDR that is one subnet. */
  readonly defaultPools?: readonly string[]
  /** Most namespaces kept ready on a network (16). 0 switches the pools off. */
  readonly poolSize?: number
  /** What "host-gateway" means in extra hosts, one of each family; otherwise the default bridge's own addresses. */
  readonly hostGateways?: readonly string[]
  /** Whether what the host's firewall keeps from its own ports is kept from published ones ("honest", the default). */
  readonly firewallMode?: FirewallMode
  /** Host address of ports that are published without one; otherwise every address. */
  readonly publishDefault?: string
  /** Path of the socket by which containers' monitors ask for names; without it no names are served. */
  readonly nameSocket?: string
  /** What a person should know and nothing else tells: forwarding switched on, foreign rules in the way. */
  readonly warn?: (message: string) => void
}

/** Name of the bridge, which is also the prefix of the names of held namespaces. */
export const bridgeNameOf = (instance: string): string =>
  instance === "" ? "sloop0" : `sl${createHash("sha256").update(instance).digest("hex").slice(0, 10)}`

/** The default bridge's name. Throws Failure "invalid" for names that cannot be. */
export const checkedBridgeName = (options: NetworksOptions): string => {
  if (!/^[\w-]*$/.test(options.instance))
    throw failure(
      "invalid",
      `instance name ${JSON.stringify(options.instance)} may hold letters, digits, - and _ only`,
    )
  const name = options.bridgeName ?? bridgeNameOf(options.instance)
  if (!isInterfaceName(name))
    throw failure(
      "invalid",
      `bridge name ${JSON.stringify(name)} must be 1 to 15 letters, digits, ".", "_", "-"`,
    )
  return name
}
