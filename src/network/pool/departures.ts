// Endpoints that have gone: their addresses rest until their links are gone too, because a dying namespace still answers.
import { existsSync } from "node:fs"
import type { Removals } from "../removals.ts"

/** After this many milliseconds a link has died with its namespace; if it has not, it is removed. */
const SWEEP_AFTER = 1500

export class Departures {
  readonly #removals: Removals
  readonly #departed: { link: string; release: () => void }[] = []
  #sweep: NodeJS.Timeout | undefined

  constructor(removals: Removals) {
    this.#removals = removals
  }

  /** `release` gives back what rests. A link without a name on this host dies with its namespace. */
  add(link: string, release: () => void): void {
    this.#departed.push({ link, release })
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
