// What a container has of the network room, as text that outlives the daemon: the engine stores it, only this room reads it.
import { failure } from "../../base/errors.ts"
import type { EndpointRecord, PublishedPort } from "../../state/state.ts"
import type { Upstream } from "../dns/name-server.ts"
import type { GivenAddresses } from "../ipam/addressing.ts"

/** A container's place on one network. */
export interface Endpoint {
  readonly record: EndpointRecord
  /** Name of the end on this host; "" where the driver has none. */
  readonly link: string
  /** The highest one gives the default gateway. */
  readonly priority: number
  /** Further addresses that it was asked to have. */
  readonly linkLocal?: readonly string[]
  /** Switches that it was asked to have. */
  readonly sysctls?: readonly (readonly [key: string, value: string])[]
  /** Legacy links, "name:alias": what it alone calls others here. */
  readonly links?: readonly string[]
}

/** What the name server is told of a container besides its endpoints. */
export interface Naming {
  readonly upstream: Upstream
  /** Its ports, as "80/tcp". */
  readonly exposed: readonly string[]
}

export interface Lease {
  readonly container: string
  /** As others call it. */
  readonly name: string
  /** What the launcher holds its namespace by until it is launched; "" = it has made its own. */
  readonly held: string
  /** What its processes ask 127.0.0.11 is led to its monitor: done once in its namespace. */
  readonly namesLed: boolean
  readonly endpoints: readonly Endpoint[]
  readonly ports: readonly PublishedPort[]
  readonly naming?: Naming
}

const VERSION = 2

/** The text that the engine stores. */
export const writeLease = (lease: Lease): string => JSON.stringify({ version: VERSION, ...lease })

/** Of a lease as daemons wrote it that knew the default bridge alone. */
interface FirstLease {
  readonly container: string
  readonly held: string
  readonly link: string
  readonly address: string
  readonly ports: readonly PublishedPort[]
}

/** Throws Failure "internal" for text that writeLease did not write. `bridge` is the default network's id. */
export const readLease = (text: string, bridge: string): Lease => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw failure("internal", "a container's network lease is not readable", { cause: error })
  }
  if (isLease(value)) return value
  if (isFirstLease(value)) return upgraded(value, bridge)
  throw failure("internal", "a container's network lease has an unknown shape")
}

const hasShape = (value: unknown, version: number): value is Record<string, unknown> =>
  typeof value === "object" &&
  value !== null &&
  "version" in value &&
  value.version === version &&
  "container" in value &&
  typeof value.container === "string" &&
  "held" in value &&
  typeof value.held === "string" &&
  "ports" in value &&
  Array.isArray(value.ports)

const isLease = (value: unknown): value is Lease =>
  hasShape(value, VERSION) && typeof value.name === "string" && Array.isArray(value.endpoints)
const isFirstLease = (value: unknown): value is FirstLease =>
  hasShape(value, 1) && typeof value.link === "string" && typeof value.address === "string"

const upgraded = (first: FirstLease, bridge: string): Lease => ({
  container: first.container,
  name: "",
  held: first.held,
  namesLed: false,
  endpoints: [
    {
      link: first.link,
      priority: 0,
      record: {
        network: bridge,
        networkName: "bridge",
        endpointId: "",
        ipv4: first.address,
        macAddress: "",
        aliases: [],
        interfaceName: "eth0",
      },
    },
  ],
  ports: first.ports,
})

/** Addresses of an endpoint in the form that the allocator takes back. */
export const givenAddresses = ({ record }: Endpoint): GivenAddresses => ({
  ...(record.ipv4 === undefined
    ? {}
    : {
        ipv4: {
          address: record.ipv4,
          prefixLength: record.ipv4PrefixLength ?? 0,
          gateway: record.gateway ?? "",
        },
      }),
  ...(record.ipv6 === undefined
    ? {}
    : {
        ipv6: {
          address: record.ipv6,
          prefixLength: record.ipv6PrefixLength ?? 0,
          gateway: record.gateway6 ?? "",
        },
      }),
})
