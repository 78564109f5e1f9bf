// Keeps the engine's nf_tables table equal to what should be: rebuilt as one batch, changed by single elements.
import type { Kernel } from "../../kernel/kernel.ts"
import type { Element, Message, TableName } from "../../kernel/netlink/netlink.ts"
import {
  addElements,
  batch,
  createTable,
  deleteTable,
  listChains,
  readChains,
  removeElements,
} from "../../kernel/netlink/netlink.ts"
import { netfilterRequest } from "../request.ts"
import type { Placed } from "./elements.ts"
import { CountedElements, networkElements, publicationElements } from "./elements.ts"
import { forgetFlowsTo } from "./flows.ts"
import type { Guard, GuardedNetwork, Publication } from "./guard.ts"
import { rebuildMessages, ruleset, tableName } from "./ruleset.ts"

/** See {@link Guard}. */
export class Firewall implements Guard {
  readonly #kernel: Kernel
  readonly #table: TableName
  readonly #networks = new Map<string, GuardedNetwork>()
  readonly #publications = new Map<Publication, readonly Placed[]>()
  #elements = new CountedElements()
  /** The last request; each follows the one before, so that a port taken back can be given at once to another. */
  #last: Promise<unknown> = Promise.resolve()
  #forgetting: Promise<unknown> = Promise.resolve()

  constructor(kernel: Kernel, table: string) {
    this.#kernel = kernel
    this.#table = tableName(table)
  }

  #send(messages: readonly Message[]): Promise<unknown> {
    return netfilterRequest(this.#kernel, messages)
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work)
    this.#last = turn.catch(() => undefined)
    return turn
  }

  rebuild(networks?: readonly GuardedNetwork[], publications?: readonly Publication[]): Promise<void> {
    return this.#inTurn(() => {
      if (networks) {
        this.#networks.clear()
        for (const network of networks) this.#networks.set(network.bridge, network)
      }
      const published = publications ?? [...this.#publications.keys()]
      this.#publications.clear()
      this.#elements = new CountedElements()
      for (const network of this.#networks.values()) this.#elements.add(networkElements(network))
      for (const publication of published) this.#elements.add(this.#place(publication))
      return this.#rebuild()
    })
  }

  #place(publication: Publication): readonly Placed[] {
    const placed = publicationElements(publication, this.#networks.values())
    this.#publications.set(publication, placed)
    return placed
  }

  async #rebuild(): Promise<void> {
    await this.#send(rebuildMessages(ruleset(this.#table.name), this.#elements.all()))
  }

  /** Sends changes of elements; a table that is not as it should be is put in place whole. */
  async #change(messages: readonly Message[]): Promise<void> {
    if (messages.length > 0) await this.#send(batch(messages)).catch(() => this.#rebuild())
  }
  #messages(change: typeof addElements, elements: ReadonlyMap<string, readonly Element[]>): Message[] {
    return [...elements].flatMap(([set, list]) => change(this.#table, set, list))
  }

  addNetwork(network: GuardedNetwork): Promise<void> {
    return this.#inTurn(async () => {
      const added = networkElements(network)
      const former = this.#networks.get(network.bridge)
      const gone = this.#elements.subtract(former ? networkElements(former) : [])
      const fresh = this.#elements.add(added)
      this.#networks.set(network.bridge, network)
      try {
        await this.#change([
          // What stays the same goes and comes anew too: in one batch no packet sees it missing.
          ...this.#messages(removeElements, gone),
          ...this.#messages(addElements, fresh),
        ])
      } catch (error) {
        this.#elements.subtract(added)
        if (former) {
          this.#networks.set(network.bridge, former)
          this.#elements.add(networkElements(former))
        } else this.#networks.delete(network.bridge)
        throw error
      }
    })
  }

  removeNetwork(bridge: string): Promise<void> {
    return this.#inTurn(async () => {
      const network = this.#networks.get(bridge)
      if (!network) return
      this.#networks.delete(bridge)
      await this.#change(this.#messages(removeElements, this.#elements.subtract(networkElements(network))))
    })
  }

  publish(publications: readonly Publication[]): Promise<void> {
    if (publications.length === 0) return Promise.resolve()
    return this.#inTurn(async () => {
      const placed = publications.map(
        (publication) => [publication, publicationElements(publication, this.#networks.values())] as const,
      )
      const all = placed.flatMap(([, elements]) => elements)
      const fresh = this.#elements.add(all)
      try {
        await this.#change(this.#messages(addElements, fresh))
      } catch (error) {
        this.#elements.subtract(all)
        throw error
      }
      for (const [publication, elements] of placed) this.#publications.set(publication, elements)
      this.#forget(publications)
    })
  }

  unpublish(publications: readonly Publication[]): Promise<void> {
    return this.#inTurn(async () => {
      const known = publications.filter((publication) => this.#publications.has(publication))
      if (known.length === 0) return
      const placed = known.flatMap((publication) => this.#publications.get(publication) ?? [])
      for (const publication of known) this.#publications.delete(publication)
      await this.#change(this.#messages(removeElements, this.#elements.subtract(placed)))
      this.#forget(known)
    })
  }

  /** Nobody waits for that. */
  #forget(publications: readonly Publication[]): void {
    this.#forgetting = this.#forgetting
      .then(() => forgetFlowsTo(this.#kernel, publications))
      .catch(() => undefined)
  }

  async settled(): Promise<void> {
    await this.#last
    await this.#forgetting
  }

  async watch(): Promise<void> {}
  async close(): Promise<void> {}

  remove(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#send(batch([createTable(this.#table), deleteTable(this.#table)]))
    })
  }

  /** A base chain at forward whose policy is drop (dockerd sets one) drops what it does not accept itself. */
  async warnings(): Promise<string[]> {
    return readChains(await netfilterRequest(this.#kernel, [listChains(0)]))
      .filter(
        (chain) => chain.hook === "forward" && chain.policy === "drop" && chain.table !== this.#table.name,
      )
      .map(
        (chain) =>
          `chain ${chain.name} of firewall table ${chain.table} drops forwarded packets by its policy: ` +
          "containers may not reach other hosts, nor be reached at published ports from there, until it accepts them",
      )
  }
}
