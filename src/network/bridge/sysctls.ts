// What bridges need of this host's switches; only what is needed is set, and what concerns more than a bridge is told.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { failure } from "../../base/errors.ts"

const read = (path: string): string => readFileSync(`/proc/sys/${path}`, "utf8").trim()

/** Sets a switch; says whether it had another value. */
const write = (path: string, value: string, why: string): boolean => {
  try {
    if (read(path) === value) return false
    writeFileSync(`/proc/sys/${path}`, value)
    return true
  } catch (error) {
    throw failure(
      "internal",
      `could not set ${path.replaceAll("/", ".")} to ${value}, which ${why} need; set it by sysctl`,
      { cause: error },
    )
  }
}

/** Routes from 127.0.0.1 to containers; the firewall's guard chain keeps the reverse way shut. */
export const allowLocalRoutes = (bridge: string): void => {
  write(`net/ipv4/conf/${bridge}/route_localnet`, "1", "ports published on 127.0.0.1")
}

/** Forwarding of IPv4. What was switched on is said in a sentence. */
export const forwardIpv4 = (): string[] =>
  write("net/ipv4/ip_forward", "1", "published ports and outgoing traffic of containers")
    ? ["net.ipv4.ip_forward was switched on, because containers reach other hosts through this one"]
    : []

const CONF = "/proc/sys/net/ipv6/conf"

/** Whether this host has IPv6 at all. */
export const hasIpv6 = (): boolean => existsSync(CONF)

/** Names of interfaces that would stop heeding router advertisements once this host forwards. */
const advertised = (): string[] =>
  readdirSync(CONF).filter((name) => {
    if (name === "lo" || name === "all") return false
    return read(`net/ipv6/conf/${name}/accept_ra`) === "1" && read(`net/ipv6/conf/${name}/forwarding`) === "0"
  })

/** Forwarding of IPv6, without this host losing the routes that it learns by advertisements. */
export const forwardIpv6 = (): string[] => {
  if (read("net/ipv6/conf/all/forwarding") === "1") return []
  const listening = advertised()
  for (const name of listening)
    write(`net/ipv6/conf/${name}/accept_ra`, "2", "routes that this host learns by advertisements")
  write("net/ipv6/conf/all/forwarding", "1", "IPv6 networks of containers")
  return [
    "net.ipv6.conf.all.forwarding was switched on, because containers reach other hosts through this one" +
      (listening.length > 0
        ? `; accept_ra of ${listening.join(", ")} was set to 2, so that they still heed it`
        : ""),
  ]
}

/** A bridge with IPv6 routes for its containers; what one of them advertises changes nothing on this host. */
export const prepareIpv6Bridge = (bridge: string): void => {
  const why = "networks with IPv6"
  write(`net/ipv6/conf/${bridge}/accept_ra`, "0", why)
  write(`net/ipv6/conf/${bridge}/disable_ipv6`, "0", why)
}

/**
 * Whether ports of a bridge have to send frames back where they came from: when bridged packets pass through the IP
 * hooks (br_netfilter), a container that asks its own published port is translated on the bridge already.
 */
export const needsHairpin = (): boolean => {
  try {
    return read("net/bridge/bridge-nf-call-iptables") === "1"
  } catch {
    return false
  }
}
