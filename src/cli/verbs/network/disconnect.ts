// sloop network disconnect
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS] NETWORK CONTAINER",
  summary: "Disconnect a container from a network",
  flags: [
    {
      name: "force",
      short: "f",
      kind: "bool",
      summary: "Force the container to disconnect from a network",
    },
  ],
  interspersed: true,
  least: 2,
  most: 2,
  async run(context, parsed) {
    const [network = "", container] = parsed.arguments
    const body = { Container: container, Force: parsed.bool("force") }
    await context.client.call("POST", `/networks/${encodeURIComponent(network)}/disconnect`, { body })
    return 0
  },
}
