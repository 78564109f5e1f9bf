// The macvlan driver: containers have hardware addresses of their own on an interface of this host.
import { failure } from "../../base/errors.ts"
import type { MacvlanMode } from "../../kernel/netlink/netlink.ts"
import { createMacvlan } from "../../kernel/netlink/netlink.ts"
import type { Driver } from "../driver.ts"
import type { ParentTools } from "./parent.ts"
import { askedParent, lowerParent, raiseParent } from "./parent.ts"

const MODE = "macvlan_mode"
const MODES: readonly MacvlanMode[] = ["bridge", "private", "vepa", "passthru"]

const modeOf = (options: Readonly<Record<string, string>>): MacvlanMode => {
  const asked = options[MODE] || "bridge"
  const mode = MODES.find((known) => known === asked)
  if (mode === undefined)
    throw failure(
      "invalid",
      `requested macvlan mode '${asked}' is not valid, 'bridge' mode is the macvlan driver default`,
    )
  return mode
}

export const macvlanDriver = (tools: ParentTools): Driver => ({
  name: "macvlan",
  isGateway: false,
  hasHostEnd: false,
  hasMacAddress: true,
  isGuarded: false,
  isPrepared: false,

  check(request, others) {
    const mode = modeOf(request.options)
    const parent = askedParent(request.options)
    if (parent === "lo") throw failure("invalid", "loopback interface is not a valid macvlan parent link")
    const twin = others.find(
      ({ driver, options }) => driver === "macvlan" && parent !== "" && askedParent(options) === parent,
    )
    if (!twin) return
    if (mode === "passthru")
      throw failure(
        "conflict",
        `cannot use mode passthru, macvlan network ${twin.id} is already using parent interface ${parent}`,
      )
    if (modeOf(twin.options) === "passthru")
      throw failure(
        "conflict",
        `macvlan network ${twin.id} is already using parent interface ${parent} in mode passthru`,
      )
  },

  raise: (network) => raiseParent(tools, network),
  lower: (network) => lowerParent(tools, network),

  wayOut(network, given) {
    const isCutOff = network.internal || askedParent(network.options) === ""
    return isCutOff || !given || given.gateway === "" ? undefined : given.gateway
  },

  linkMessages: (network, footing, { name, macAddress }) => [
    createMacvlan({ name, parent: footing.index, macAddress, mode: modeOf(network.options) }),
  ],
})
