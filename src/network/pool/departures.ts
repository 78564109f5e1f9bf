// Endpoints that have gone: their addresses rest until their links are gone too, because a dying namespace still answers.
import { existsSync } from "node:fs"
import type { GivenAddresses } from "../ipam/addressing.ts"
import type { Removals } from "../removals.ts"

/** After this many milliseconds a link has died with its namespace; if it has not, it is removed. */
const SWEEP_AFTER = 1500

/** What rests. */
export interface Departed {
  /** "" for a link without a name on this host, which dies with its namespace. */
  readonly link: string
  /** Id of the network that its addresses are of. */
  readonly network: string
  readonly addresses: GivenAddresses
  /** Gives the addresses back. */
  readonly release: () => void
}

export class Departures {
  readonly #removals: Removals
  #departed: Departed[] = []
  #sweep: NodeJS.Timeout | undefined

  constructor(removals: Removals) {
    this.#removals = removals
  }

  add(departed: Departed): void {
    this.#departed.push(departed)
    if (this.#sweep) return
    this.#sweep = setTimeout(() => {
      this.#sweep = undefined
      this.#clear()
    }, SWEEP_AFTER)
    this.#sweep.unref()
  }

  /** Frees what rests; a link that others keep alive (network container:ID) is removed first. */
  #clear(): void {
    for (const { link, release } of this.#departed.splice(0)) {
      if (link === "" || !existsSync(`/sys/class/net/${link}`)) release()
      else this.#removals.remove(link, async () => release())
    }
  }

  /** Frees at once what somebody needs: its link is gone for sure when this resolves. Says how many there were. */
  async hurry(isNeeded: (departed: Departed) => boolean): Promise<number> {
    const needed = this.#departed.filter(isNeeded)
    this.#departed = this.#departed.filter((departed) => !needed.includes(departed))
    await Promise.all(needed.map(({ link }) => this.removeNow(link)))
    for (const { release } of needed) release()
    return needed.length
  }

  /** Removes a link and waits until it is gone. */
  async removeNow(link: string): Promise<void> {
    if (link === "") return
    this.#removals.remove(link)
    await this.#removals.free(link)
  }

  /** Stops looking after links: the kernel removes them by itself. */
  close(): void {
    clearTimeout(this.#sweep)
    this.#sweep = undefined
  }
}
