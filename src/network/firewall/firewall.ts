// Keeps the engine's nf_tables table equal to what should be: rebuilt as one batch, ports by single elements.
import type { Kernel } from "../../kernel/kernel.ts"
import type { Message } from "../../kernel/netlink/netlink.ts"
import {
  addElements,
  batch,
  createTable,
  deleteFlow,
  deleteTable,
  FAMILY_IPV4,
  listChains,
  listFlows,
  readChains,
  readFlows,
  removeElements,
} from "../../kernel/netlink/netlink.ts"
import { netfilterRequest } from "../request.ts"
import type { GuardedBridge, Publication } from "./ruleset.ts"
import { elementsBySet, rebuildMessages, ruleset } from "./ruleset.ts"

const UDP = 17

/** The table and its desired state. Publications are remembered, so that the table can be rebuilt at any time. */
export class Firewall {
  readonly #kernel: Kernel
  readonly #table: string
  readonly #publications = new Set<Publication>()
  #bridges: readonly GuardedBridge[] = []
  /** The last request; each follows the one before, so that a port taken back can be given at once to another. */
  #last: Promise<unknown> = Promise.resolve()
  #forgetting: Promise<unknown> = Promise.resolve()

  constructor(kernel: Kernel, table: string) {
    this.#kernel = kernel
    this.#table = table
  }

  #send(messages: readonly Message[]): Promise<unknown> {
    return netfilterRequest(this.#kernel, messages)
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work)
    this.#last = turn.catch(() => undefined)
    return turn
  }

  /** Puts the whole table in place, atomically: packets in between see the old or the new one. */
  rebuild(
    bridges: readonly GuardedBridge[] = this.#bridges,
    publications?: readonly Publication[],
  ): Promise<void> {
    this.#bridges = bridges
    if (publications) {
      this.#publications.clear()
      for (const publication of publications) this.#publications.add(publication)
    }
    return this.#inTurn(() => this.#rebuild())
  }

  async #rebuild(): Promise<void> {
    await this.#send(rebuildMessages(ruleset(this.#table, this.#bridges), [...this.#publications]))
  }

  /** Publishes ports in one request; all or none. A table that somebody removed is put back first. */
  publish(publications: readonly Publication[]): Promise<void> {
    if (publications.length === 0) return Promise.resolve()
    const table = { family: FAMILY_IPV4, name: this.#table }
    const add = [...elementsBySet(publications)].flatMap(([set, list]) => addElements(table, set, list))
    return this.#inTurn(async () => {
      await this.#send(batch(add)).catch(async () => {
        await this.#rebuild()
        await this.#send(batch(add))
      })
      for (const publication of publications) this.#publications.add(publication)
      this.#forgetFlowsTo(publications)
    })
  }

  /** Takes back what publish() was given (the same objects). What the kernel has lost already is no failure. */
  unpublish(publications: readonly Publication[]): Promise<void> {
    return this.#inTurn(async () => {
      const known = publications.filter((publication) => this.#publications.delete(publication))
      if (known.length === 0) return
      const table = { family: FAMILY_IPV4, name: this.#table }
      const remove = [...elementsBySet(known)].flatMap(([set, list]) => removeElements(table, set, list))
      await this.#send(batch(remove)).catch(() => this.#rebuild())
      this.#forgetFlowsTo(known)
    })
  }

  /**
   * A udp flow is translated as its first packet was, for as long as packets keep coming: one that began before a port
   * was published, or goes to a container that has gone, must be forgotten. Nobody waits for that.
   */
  #forgetFlowsTo(publications: readonly Publication[]): void {
    const udp = publications.filter((publication) => publication.protocol === "udp")
    if (udp.length === 0) return
    const work = async (): Promise<void> => {
      const flows = readFlows(await netfilterRequest(this.#kernel, [listFlows(FAMILY_IPV4)]))
      const stale = flows.filter(
        (flow) =>
          flow.protocol === UDP &&
          udp.some(
            ({ hostAddress, hostPort }) =>
              hostPort === flow.destinationPort &&
              (hostAddress === "" || hostAddress === "0.0.0.0" || hostAddress === flow.destination),
          ),
      )
      // Each on its own: one that has ended meanwhile is an error that must not keep the others.
      for (const flow of stale) await this.#send([deleteFlow(flow)]).catch(() => undefined)
    }
    this.#forgetting = this.#forgetting.then(work).catch(() => undefined)
  }

  /** Resolves when everything asked for so far has been done. */
  async settled(): Promise<void> {
    await this.#last
    await this.#forgetting
  }

  /** Removes the table. */
  remove(): Promise<void> {
    const table = { family: FAMILY_IPV4, name: this.#table }
    return this.#inTurn(async () => {
      await this.#send(batch([createTable(table), deleteTable(table)]))
    })
  }

  /**
   * What other tables do to forwarded packets that ours cannot undo, in sentences for a person. A base chain at
   * forward whose policy is drop (dockerd sets one) drops what it does not accept itself.
   */
  async warnings(): Promise<string[]> {
    return readChains(await netfilterRequest(this.#kernel, [listChains(FAMILY_IPV4)]))
      .filter((chain) => chain.hook === "forward" && chain.policy === "drop" && chain.table !== this.#table)
      .map(
        (chain) =>
          `chain ${chain.name} of firewall table ${chain.table} drops forwarded packets by its policy: ` +
          "containers may not reach other hosts, nor be reached at published ports from there, until it accepts them",
      )
  }
}
