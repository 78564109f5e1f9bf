// Which of a container's networks is its way out, in Docker's order. Pure.
import type { NetworkRecord } from "../../state/state.ts"
import type { Endpoint } from "./lease.ts"

/** An endpoint with what its network says. */
export interface Candidate {
  readonly endpoint: Endpoint
  readonly network: NetworkRecord
  /** Gateways of default routes through it; "" = whoever is on the link; absent = it is no way out. */
  readonly gateway4?: string
  readonly gateway6?: string
}

const gateways = ({ gateway4, gateway6 }: Candidate): number =>
  (gateway4 === undefined ? 0 : 1) + (gateway6 === undefined ? 0 : 1)

const compareNames = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0)

/**
 * Best first: higher priority, networks with a way out before internal ones, those with gateways of both families before
 * those of one before none, then by name.
 */
export const inGatewayOrder = <T extends Candidate>(candidates: readonly T[]): T[] =>
  candidates.toSorted(
    (one, other) =>
      other.endpoint.priority - one.endpoint.priority ||
      Number(one.network.internal) - Number(other.network.internal) ||
      gateways(other) - gateways(one) ||
      compareNames(one.network.name, other.network.name),
  )

/** The endpoint by which each family goes out; absent where there is none. */
export const waysOut = <T extends Candidate>(candidates: readonly T[]): { ipv4?: T; ipv6?: T } => {
  const ordered = inGatewayOrder(candidates)
  const ipv4 = ordered.find(({ gateway4 }) => gateway4 !== undefined)
  const ipv6 = ordered.find(({ gateway6 }) => gateway6 !== undefined)
  return { ...(ipv4 && { ipv4 }), ...(ipv6 && { ipv6 }) }
}
