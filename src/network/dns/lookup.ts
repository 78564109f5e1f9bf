// What a container finds by a name or an address: only what is on networks that it shares, as Docker resolves it.
import { isIPv6 } from "node:net"
import type { NamedEndpoint, Names, NetworkNames } from "./names.ts"

/** Endpoints that bear a name, with the network where it was found. */
export interface Found {
  readonly network: NetworkNames
  readonly endpoints: readonly NamedEndpoint[]
}

type Around = ReturnType<Names["around"]>

/** A name and the network it may be qualified with: a.b.c, then a.b in c, then a in b.c. */
function* readings(name: string): Generator<readonly [name: string, network: string]> {
  yield [name, ""]
  for (let dot = name.lastIndexOf("."); dot > 0; dot = name.lastIndexOf(".", dot - 1))
    yield [name.slice(0, dot), name.slice(dot + 1)]
}

/** Who bears a lower-cased name, in the first reading that anybody answers to; links of the asker come before names. */
export const findName = (around: Around, name: string): Found[] => {
  for (const [wanted, networkName] of readings(name)) {
    const there = around.filter(({ network }) => !networkName || network.name.toLowerCase() === networkName)
    const linked = there.flatMap(({ endpoint, network }) => {
      const link = endpoint.links?.find(({ alias }) => alias.toLowerCase() === wanted)
      return link ? bearers(network, link.name.toLowerCase()) : []
    })
    if (linked.length > 0) return linked
    const found = there.flatMap(({ network }) => bearers(network, wanted))
    if (found.length > 0) return found
  }
  return []
}

const bearers = (network: NetworkNames, name: string): Found[] => {
  const endpoints = network.bearers.get(name)
  return endpoints ? [{ network, endpoints }] : []
}

/** The addresses of one family: those of the first network where there are any. */
export const addressesOf = (found: readonly Found[], family: "ipv4" | "ipv6"): string[] => {
  for (const { endpoints } of found) {
    const addresses = endpoints.flatMap((endpoint) => endpoint[family] ?? [])
    if (addresses.length > 0) return [...new Set(addresses)]
  }
  return []
}

/** `name.network` of who has an address that is asked for by its reverse name; undefined when nobody here has it. */
export const findAddress = (around: Around, name: string): string | undefined => {
  const wanted = addressOfReverse(name)
  if (wanted === undefined) return undefined
  for (const { network } of around)
    for (const [address, endpoint] of network.addresses)
      if (comparable(address) === wanted && endpoint.names[0]) return `${endpoint.names[0]}.${network.name}`
  return undefined
}

/** 16 bytes in hexadecimal for IPv6, dotted for IPv4. */
const comparable = (address: string): string => (isIPv6(address) ? ipv6Hex(address) : address)

/** The 32 hexadecimal digits of an IPv6 address. */
const ipv6Hex = (address: string): string => ipv6Bytes(address).toString("hex")

export const ipv6Bytes = (address: string): Buffer => {
  // The URL parser writes every IPv6 address in its shortest form without dotted parts.
  const plain = new URL(`http://[${address.replace(/%.*$/, "")}]/`).hostname.slice(1, -1)
  const [head = "", tail] = plain.split("::")
  const before = head.split(":").filter(Boolean)
  const after = (tail ?? "").split(":").filter(Boolean)
  const groups = [...before, ...Array<string>(8 - before.length - after.length).fill("0"), ...after]
  return Buffer.from(groups.map((group) => group.padStart(4, "0")).join(""), "hex")
}

const addressOfReverse = (name: string): string | undefined => {
  const four = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/.exec(name)
  if (four) return four.slice(1).toReversed().join(".")
  const six = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(name)
  return six?.[1]?.split(".").toReversed().join("")
}
