// sloop network create
import * as check from "../../container/checks.ts"
import { readPairs } from "../../container/values.ts"
import { bool } from "../../flag-kinds.ts"
import type { Flag } from "../../flags.ts"
import { eachOf, readPools } from "../../network/pools.ts"
import type { Verb } from "../../verb.ts"

const strings = (name: string, summary: string): Flag => ({ name, kind: "list", value: "strings", summary })
const map = (name: string, summary: string): Flag => ({ name, kind: "list", value: "map", summary })

export const verb: Verb = {
  usage: "[OPTIONS] NETWORK",
  summary: "Create a network",
  flags: [
    {
      name: "driver",
      short: "d",
      kind: "string",
      value: "string",
      default: "bridge",
      summary: "Driver to manage the Network",
    },
    { ...map("opt", "Set driver specific options"), short: "o" },
    {
      name: "label",
      kind: "list",
      value: "list",
      check: check.label,
      summary: "Set metadata on a network",
    },
    bool("internal", "Restrict external access to the network"),
    { ...bool("ipv4", "Enable or disable IPv4 address assignment"), default: true },
    bool("ipv6", "Enable or disable IPv6 address assignment"),
    bool("attachable", "Enable manual container attachment"),
    bool("ingress", "Create swarm routing-mesh network"),
    { name: "scope", kind: "string", value: "string", summary: "Control the network's scope" },
    bool("config-only", "Create a configuration only network"),
    {
      name: "config-from",
      kind: "string",
      value: "string",
      summary: "The network from which to copy the configuration",
    },
    {
      name: "ipam-driver",
      kind: "string",
      value: "string",
      default: "default",
      summary: "IP Address Management Driver",
    },
    map("ipam-opt", "Set IPAM driver specific options"),
    strings("subnet", "Subnet in CIDR format that represents a network segment"),
    strings("ip-range", "Allocate container ip from a sub-range"),
    strings("gateway", "IPv4 or IPv6 Gateway for the master subnet"),
    map("aux-address", "Auxiliary IPv4 or IPv6 addresses used by Network driver"),
  ],
  interspersed: true,
  least: 1,
  most: 1,
  async run(context, parsed) {
    const from = parsed.string("config-from")
    const given = (name: string) => (parsed.given(name) ? parsed.bool(name) : undefined)
    const pools = readPools({
      subnets: eachOf(parsed.list("subnet")),
      ranges: eachOf(parsed.list("ip-range")),
      gateways: eachOf(parsed.list("gateway")),
      auxiliary: readPairs(parsed.list("aux-address")),
    })
    const body = {
      Name: parsed.arguments[0],
      Driver: parsed.string("driver"),
      Scope: parsed.string("scope") ?? "",
      EnableIPv4: given("ipv4"),
      EnableIPv6: given("ipv6"),
      IPAM: {
        Driver: parsed.string("ipam-driver"),
        Options: readPairs(parsed.list("ipam-opt")),
        Config: pools,
      },
      Internal: parsed.bool("internal"),
      Attachable: parsed.bool("attachable"),
      Ingress: parsed.bool("ingress"),
      ConfigOnly: parsed.bool("config-only"),
      ConfigFrom: from ? { Network: from } : undefined,
      Options: readPairs(parsed.list("opt")),
      Labels: readPairs(parsed.list("label")),
    }
    const { Id } = await context.client.json<{ Id: string }>("POST", "/networks/create", { body })
    context.print(Id)
    return 0
  },
}
