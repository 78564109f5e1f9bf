// sloop port
import { failure } from "../../../base/errors.ts"
import { type Bindings, printBindings, showAddress } from "../../container/bindings.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
  summary: `List port mappings or a specific mapping for the container

sloop port add CONTAINER [IP:][HOST_PORT:]PRIVATE_PORT...       publishes further ports, at once when it runs
sloop port remove CONTAINER [[IP:]HOST_PORT:]PRIVATE_PORT...    takes ports back`,
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
    const ports = NetworkSettings.Ports ?? {}
    if (port === undefined) {
      printBindings(context, ports)
      return 0
    }
    const key = port.includes("/") ? port : `${port}/tcp`
    const bindings = ports[key]
    if (!bindings || bindings.length === 0)
      throw failure("not-found", `Error: No public port '${port}' published for ${container}`)
    for (const binding of bindings) context.print(showAddress(binding))
    return 0
  },
}
