// Published ports as docker prints them.
import type { Context } from "../verb.ts"

/** NetworkSettings.Ports: "80/tcp" to its bindings. */
export type Bindings = Readonly<Record<string, readonly { HostIp: string; HostPort: string }[] | null>>

/** By number, then by protocol. */
const order = (a: string, b: string): number =>
  Number.parseInt(a, 10) - Number.parseInt(b, 10) || (a < b ? -1 : 1)

export const showAddress = ({ HostIp, HostPort }: { HostIp: string; HostPort: string }): string =>
  `${HostIp.includes(":") ? `[${HostIp}]` : HostIp}:${HostPort}`

/** A line for each: "80/tcp -> 0.0.0.0:8080". */
export function printBindings(context: Context, ports: Bindings): void {
  for (const [key, bindings] of Object.entries(ports).sort(([a], [b]) => order(a, b)))
    for (const binding of bindings ?? []) context.print(`${key} -> ${showAddress(binding)}`)
}
