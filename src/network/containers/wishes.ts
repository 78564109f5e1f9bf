// What a container was asked to have on a network: checked as Docker checks it.
import { failure } from "../../base/errors.ts"
import type { NetworkRequest } from "../../state/state.ts"
import { isInterfaceName } from "../bridge/options.ts"
import { familyOfAddress, holdsAddress, parseCidr } from "../ipam/cidr.ts"
import type { EndpointWishes, Segment } from "../segment.ts"

const INTERFACE_NAME = "com.docker.network.endpoint.ifname"

const SYSCTLS = "com.docker.network.endpoint.sysctls"

/** "net.ipv4.conf.IFNAME.log_martians=1,…" by key. Throws Failure "invalid" in Docker's words. */
export const endpointSysctls = (asked: NetworkRequest): ReadonlyMap<string, string> => {
  const text = asked.driverOptions?.[SYSCTLS] ?? ""
  return new Map(
    text
      .split(",")
      .filter(Boolean)
      .map((entry) => {
        const match = /^net\.(ipv4|ipv6|mpls)\.(\w+)\.ifname\.(\w+)=(.+)$/i.exec(entry.trim())
        if (!match)
          throw failure(
            "invalid",
            `unrecognised network interface sysctl '${entry}'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'`,
          )
        const [, family, kind, name, value = ""] = match
        return [`net/${family}/${kind}/IFNAME/${name}`, value] as const
      }),
  )
}

const checkAddress = (segment: Segment, address: string): void => {
  const subnet = segment.record.subnets.find((one) => holdsAddress(parseCidr(one.subnet), address))
  if (!subnet) throw failure("invalid", `no configured subnet contains IP address ${address}`)
  if (subnet.chosen)
    throw failure(
      "invalid",
      "user specified IP address is supported only when connecting to networks with user configured subnets",
    )
}

/** Throws Failure "invalid". `macAddress` is the container's own (--mac-address), for the network it is started on. */
export const endpointWishes = (
  segment: Segment,
  asked: NetworkRequest,
  macAddress?: string,
): EndpointWishes => {
  const { ipv4, ipv6 } = asked
  if ((ipv4 || ipv6) && segment.isDefault)
    throw failure("invalid", "user specified IP address is supported on user defined networks only")
  if (ipv4 && familyOfAddress(ipv4) !== 4) throw failure("invalid", `invalid IPv4 address: ${ipv4}`)
  if (ipv6 && familyOfAddress(ipv6) !== 6) throw failure("invalid", `invalid IPv6 address: ${ipv6}`)
  for (const address of [ipv4, ipv6]) if (address) checkAddress(segment, address)
  for (const address of asked.linkLocal ?? [])
    if (familyOfAddress(address) === undefined)
      throw failure("invalid", `invalid link-local IP address: ${address}`)
  const interfaceName = asked.driverOptions?.[INTERFACE_NAME]
  if (interfaceName && !isInterfaceName(interfaceName))
    throw failure("invalid", `invalid interface name ${JSON.stringify(interfaceName)} in ${INTERFACE_NAME}`)
  const mac = asked.macAddress || macAddress
  if (mac && !segment.driver.hasMacAddress)
    throw failure("invalid", `${segment.driver.name} interfaces do not support custom mac address assignment`)
  return {
    linkLocal: asked.linkLocal ?? [],
    sysctls: endpointSysctls(asked),
    ...(ipv4 ? { ipv4 } : {}),
    ...(ipv6 ? { ipv6 } : {}),
    ...(mac ? { macAddress: mac } : {}),
    ...(interfaceName ? { interfaceName } : {}),
  }
}
