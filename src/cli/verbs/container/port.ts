// sloop port
import { failure } from "../../../base/errors.ts"
import type { Verb } from "../../verb.ts"

/** By number, then by protocol. */
const order = (a: string, b: string): number =>
  Number.parseInt(a, 10) - Number.parseInt(b, 10) || (a < b ? -1 : 1)

type Bindings = Record<string, { HostIp: string; HostPort: string }[] | null>

export const verb: Verb = {
  usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
  summary: "List port mappings or a specific mapping for the container",
  flags: [],
  interspersed: true,
  least: 1,
  most: 2,
  async run(context, parsed) {
    const [container = "", port] = parsed.arguments
    const { NetworkSettings } = await context.client.json<{ NetworkSettings: { Ports: Bindings | null } }>(
      "GET",
      `/containers/${encodeURIComponent(container)}/json`,
    )
    const address = ({ HostIp, HostPort }: { HostIp: string; HostPort: string }) =>
      `${HostIp.includes(":") ? `[${HostIp}]` : HostIp}:${HostPort}`
    const ports = NetworkSettings.Ports ?? {}
    if (port === undefined) {
      for (const [key, bindings] of Object.entries(ports).sort(([a], [b]) => order(a, b)))
        for (const binding of bindings ?? []) context.print(`${key} -> ${address(binding)}`)
      return 0
    }
    const key = port.includes("/") ? port : `${port}/tcp`
    const bindings = ports[key]
    if (!bindings || bindings.length === 0)
      throw failure("not-found", `Error: No public port '${port}' published for ${container}`)
    for (const binding of bindings) context.print(address(binding))
    return 0
  },
}
