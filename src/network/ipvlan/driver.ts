// The ipvlan driver: containers share an interface of this host and its hardware address. Not every kernel has it.
import { randomBytes } from "node:crypto"
import { failure } from "../../base/errors.ts"
import type { IpvlanFlag, IpvlanMode } from "../../kernel/netlink/netlink.ts"
import { createIpvlan, netlinkOperation } from "../../kernel/netlink/netlink.ts"
import type { Driver, Footing } from "../driver.ts"
import type { ParentTools } from "../macvlan/parent.ts"
import { askedParent, isMissingKind, lowerParent, raiseParent } from "../macvlan/parent.ts"

type Options = Readonly<Record<string, string>>
const MODES: readonly IpvlanMode[] = ["l2", "l3", "l3s"]
const FLAGS: readonly IpvlanFlag[] = ["bridge", "private", "vepa"]

const modeOf = (options: Options): IpvlanMode => {
  const asked = options.ipvlan_mode || "l2"
  const mode = MODES.find((known) => known === asked)
  if (mode === undefined)
    throw failure(
      "invalid",
      `requested ipvlan mode '${asked}' is not valid, 'l2' mode is the ipvlan driver default`,
    )
  return mode
}
const flagOf = (options: Options): IpvlanFlag => {
  const asked = options.ipvlan_flag || "bridge"
  const flag = FLAGS.find((known) => known === asked)
  if (flag === undefined)
    throw failure(
      "invalid",
      `requested ipvlan flag '${asked}' is not valid, 'bridge' is the ipvlan driver default`,
    )
  return flag
}

/** Makes one in a namespace of its own and lets it go: nothing else tells whether the kernel can. */
const tryKernel = async ({ kernel }: ParentTools, options: Options, footing: Footing): Promise<void> => {
  const held = `sloop-ipvlan-trial-${randomBytes(4).toString("hex")}`
  const link = createIpvlan({
    name: "eth0",
    parent: footing.index,
    mode: modeOf(options),
    flag: flagOf(options),
  })
  try {
    await kernel.perform([["netns-create"], ["name", held], netlinkOperation("host", "route", [link])])
    await kernel.perform([["netns-drop"], ["name", held]])
  } catch (error) {
    if (!isMissingKind(error)) throw error
    throw failure(
      "not-implemented",
      "this host's kernel has no ipvlan (CONFIG_IPVLAN): use the macvlan driver, or a kernel that has it",
      { cause: error },
    )
  }
}

export const ipvlanDriver = (tools: ParentTools): Driver => {
  let isKnown = false
  return {
    name: "ipvlan",
    isGateway: false,
    hasHostEnd: false,
    hasMacAddress: false,
    isGuarded: false,
    isPrepared: false,

    check(request) {
      modeOf(request.options)
      flagOf(request.options)
      if (askedParent(request.options) === "lo")
        throw failure("invalid", "loopback interface is not a valid ipvlan parent link")
    },

    async raise(network) {
      const footing = await raiseParent(tools, network)
      if (isKnown) return footing
      try {
        await tryKernel(tools, network.options, footing)
        isKnown = true
        return footing
      } catch (error) {
        await lowerParent(tools, network)
        throw error
      }
    },
    lower: (network) => lowerParent(tools, network),

    wayOut(network, given) {
      if (network.internal || askedParent(network.options) === "" || !given) return undefined
      // On layer 3 nobody answers for a gateway's address: everything goes to the link.
      if (modeOf(network.options) !== "l2") return ""
      return given.gateway === "" ? undefined : given.gateway
    },

    linkMessages: (network, footing, { name }) => [
      createIpvlan({
        name,
        parent: footing.index,
        mode: modeOf(network.options),
        flag: flagOf(network.options),
      }),
    ],
  }
}
