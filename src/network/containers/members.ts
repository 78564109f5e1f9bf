// Who is on which network: the containers that run, with their leases and published ports.
import type { Publication } from "../firewall/guard.ts"
import type { Lease } from "./lease.ts"

/** What join() has given and leave() will take back. */
export interface Member {
  readonly lease: Lease
  readonly publications: readonly Publication[]
  /** Until its launch has taken the namespace: the key by which pools wait for it. */
  launching: boolean
  /** Its processes are gone, and what it had is about to be taken back. */
  ended?: boolean
}

export class Members {
  readonly #byLease = new Map<string, Member>()

  find(lease: string): Member | undefined {
    return this.#byLease.get(lease)
  }
  put(lease: string, member: Member): void {
    this.#byLease.set(lease, member)
  }
  remove(lease: string): boolean {
    return this.#byLease.delete(lease)
  }
  list(): Member[] {
    return [...this.#byLease.values()]
  }

  /** Containers on a network that have not ended. */
  on(network: string): Member[] {
    return this.list().filter(
      ({ lease, ended }) => !ended && lease.endpoints.some(({ record }) => record.network === network),
    )
  }

  /** Ends on this host of a network's endpoints. */
  linksOn(network: string): string[] {
    return this.list().flatMap(({ lease }) =>
      lease.endpoints.flatMap(({ record, link }) =>
        record.network === network && link !== "" ? [link] : [],
      ),
    )
  }
}
