// A container's place on a network, as its lease remembers it across restarts of the daemon.
import { randomBytes } from "node:crypto"
import { failure } from "../base/errors.ts"
import type { EndpointRecord, NetworkRecord, PublishedPort } from "../state/state.ts"
import type { Publication } from "./firewall/guard.ts"
import { publicationsFor } from "./firewall/publications.ts"
import type { Prepared } from "./pool.ts"

export interface Lease {
  readonly container: string
  readonly held: string
  readonly link: string
  readonly address: string
  readonly ports: readonly PublishedPort[]
}

const VERSION = 1

/** The text that the engine stores. */
export const writeLease = (lease: Lease): string => JSON.stringify({ version: VERSION, ...lease })

/** Throws Failure "internal" for text that writeLease did not write. */
export const readLease = (text: string): Lease => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw failure("internal", "a container's network lease is not readable", { cause: error })
  }
  if (!isLease(value)) throw failure("internal", "a container's network lease has an unknown shape")
  return value
}

const isLease = (value: unknown): value is Lease =>
  typeof value === "object" &&
  value !== null &&
  "version" in value &&
  value.version === VERSION &&
  "container" in value &&
  typeof value.container === "string" &&
  "held" in value &&
  typeof value.held === "string" &&
  "link" in value &&
  typeof value.link === "string" &&
  "address" in value &&
  typeof value.address === "string" &&
  "ports" in value &&
  Array.isArray(value.ports)

export const endpointRecord = (
  network: NetworkRecord,
  place: Prepared,
  prefixLength: number,
  gateway: string,
  aliases: readonly string[],
): EndpointRecord => ({
  network: network.id,
  networkName: network.name,
  endpointId: randomBytes(32).toString("hex"),
  ipv4: place.address,
  ipv4PrefixLength: prefixLength,
  gateway,
  macAddress: place.macAddress,
  aliases,
})

/** How the firewall publishes a container's ports. */
export const publicationsOf = (address: string, ports: readonly PublishedPort[]): Publication[] =>
  publicationsFor({ ipv4: address }, ports)
