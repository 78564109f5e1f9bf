// sloop network connect
import { failure } from "../../../base/errors.ts"
import * as check from "../../container/checks.ts"
import { eachOf } from "../../network/pools.ts"
import type { Verb } from "../../verb.ts"

const readOptions = (values: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    values.map((value) => {
      const equals = value.indexOf("=")
      const key = value.slice(0, Math.max(0, equals)).trim()
      if (key === "") throw failure("invalid", "invalid key/value pair format in driver options")
      return [key, value.slice(equals + 1).trim()]
    }),
  )

export const verb: Verb = {
  usage: "[OPTIONS] NETWORK CONTAINER",
  summary: "Connect a container to a network",
  flags: [
    { name: "ip", kind: "string", value: "string", summary: 'IPv4 address (e.g., "172.30.100.104")' },
    { name: "ip6", kind: "string", value: "string", summary: 'IPv6 address (e.g., "2001:db8::33")' },
    {
      name: "link",
      kind: "list",
      value: "list",
      check: check.link,
      summary: "Add link to another container",
    },
    { name: "alias", kind: "list", value: "strings", summary: "Add network-scoped alias for the container" },
    {
      name: "link-local-ip",
      kind: "list",
      value: "strings",
      summary: "Add a link-local address for the container",
    },
    { name: "driver-opt", kind: "list", value: "strings", summary: "driver options for the network" },
    {
      name: "gw-priority",
      kind: "int",
      value: "int",
      summary: "Highest gw-priority provides the default gateway. Accepts positive and negative values.",
    },
  ],
  interspersed: true,
  least: 2,
  most: 2,
  async run(context, parsed) {
    const [network = "", container] = parsed.arguments
    const body = {
      Container: container,
      EndpointConfig: {
        IPAMConfig: {
          IPv4Address: parsed.string("ip"),
          IPv6Address: parsed.string("ip6"),
          LinkLocalIPs: eachOf(parsed.list("link-local-ip")),
        },
        Links: parsed.list("link"),
        Aliases: eachOf(parsed.list("alias")),
        DriverOpts: readOptions(eachOf(parsed.list("driver-opt"))),
        GwPriority: parsed.int("gw-priority") ?? 0,
      },
    }
    await context.client.call("POST", `/networks/${encodeURIComponent(network)}/connect`, { body })
    return 0
  },
}
