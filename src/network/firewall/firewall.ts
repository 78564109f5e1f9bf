// Keeps the engine's nf_tables table equal to what should be: rebuilt as one batch, changed by single elements.
import { errorMessage } from "../../base/errors.ts"
import type { Kernel } from "../../kernel/kernel.ts"
import type { Element, Message, TableName } from "../../kernel/netlink/netlink.ts"
import { addElements, batch, createTable, deleteTable, removeElements } from "../../kernel/netlink/netlink.ts"
import { netfilterRequest } from "../request.ts"
import type { Placed } from "./elements.ts"
import { CountedElements, networkElements, publicationElements } from "./elements.ts"
import { forgetFlowsTo } from "./flows.ts"
import type { FirewallOptions, Guard, GuardedNetwork, Publication } from "./guard.ts"
import { HostFirewall } from "./host/host-firewall.ts"
import { rebuildMessages, ruleset, tableName } from "./ruleset.ts"
import type { TablesChange } from "./watch.ts"
import { TableWatch } from "./watch.ts"

/** Name of the processes that change tables for us, as the kernel tells it. */
const OWN_PROCESS = "sloop-launcher"

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

  readonly #host: HostFirewall
  readonly #warn: (message: string) => void
  #watch: TableWatch | undefined
  /** Whether a look at what others have changed is queued already. */
  #looking = false
  #removed = false

  constructor(kernel: Kernel, table: string, options: FirewallOptions = {}) {
    this.#kernel = kernel
    this.#table = tableName(table)
    this.#warn = options.warn ?? (() => {})
    this.#host = new HostFirewall(kernel, this.#table, options.mode ?? "honest")
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
    const rebuild = (more: readonly Message[]) =>
      this.#send(rebuildMessages(ruleset(this.#table.name), this.#elements.all(), more))
    await this.#host.look()
    const { copies } = this.#host
    await rebuild(copies).catch((error: unknown) => {
      if (copies.length === 0) throw error
      this.#host.refused(error)
      return rebuild([])
    })
    await this.#host.openForwarding([...this.#networks.keys()])
    this.#tell()
  }

  /** After networks have come or gone: nothing to do where nobody shuts forwarding. */
  async #openForwarding(): Promise<void> {
    if (!this.#host.shutsForwarding) return
    await this.#host.look()
    await this.#host.openForwarding([...this.#networks.keys()])
    this.#tell()
  }

  #tell(): void {
    for (const warning of this.#host.untold()) this.#warn(warning)
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
      await this.#openForwarding()
    })
  }

  removeNetwork(bridge: string): Promise<void> {
    return this.#inTurn(async () => {
      const network = this.#networks.get(bridge)
      if (!network) return
      this.#networks.delete(bridge)
      await this.#change(this.#messages(removeElements, this.#elements.subtract(networkElements(network))))
      await this.#openForwarding()
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

  republish(before: readonly Publication[], after: readonly Publication[]): Promise<void> {
    return this.#inTurn(async () => {
      const known = before.filter((publication) => this.#publications.has(publication))
      const old = known.flatMap((publication) => this.#publications.get(publication) ?? [])
      for (const publication of known) this.#publications.delete(publication)
      const gone = this.#messages(removeElements, this.#elements.subtract(old))
      const placed = after.map(
        (publication) => [publication, publicationElements(publication, this.#networks.values())] as const,
      )
      const fresh = this.#elements.add(placed.flatMap(([, elements]) => elements))
      for (const [publication, elements] of placed) this.#publications.set(publication, elements)
      await this.#change([...gone, ...this.#messages(addElements, fresh)])
      this.#forget([...known, ...after])
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

  async watch(): Promise<void> {
    this.#watch ??= new TableWatch(this.#kernel, {
      changed: (change) => this.#heed(change),
      missed: () => this.#putBack("changes that could not be followed"),
    })
    await this.#watch.start()
  }

  #heed({ by, tables }: TablesChange): void {
    const isOurs = (table: (typeof tables)[number]): boolean =>
      table.family === this.#table.family && table.table === this.#table.name
    if (by !== OWN_PROCESS && tables.some(isOurs)) this.#putBack(by)
    else if (!tables.every(isOurs)) this.#lookAtOthers()
  }

  #putBack(by: string): void {
    if (this.#removed) return
    this.#inTurn(() => this.#rebuild()).then(
      () =>
        this.#warn(
          `firewall table ${this.#table.name} was put back after ${by || "somebody"} had changed it`,
        ),
      (error: unknown) =>
        this.#warn(`firewall table ${this.#table.name} could not be put back: ${errorMessage(error)}`),
    )
  }

  /** Others' rules changed: those for this host's own ports are asked of published ones too. */
  #lookAtOthers(): void {
    if (this.#looking || this.#removed) return
    this.#looking = true
    this.#inTurn(async () => {
      this.#looking = false
      if (await this.#host.look()) await this.#rebuild()
      else await this.#host.openForwarding([...this.#networks.keys()])
      this.#tell()
    }).catch((error: unknown) =>
      this.#warn(`other firewall tables could not be looked at: ${errorMessage(error)}`),
    )
  }

  async close(): Promise<void> {
    this.#removed = true
    await this.#watch?.close()
    await this.settled()
  }

  async remove(): Promise<void> {
    await this.close()
    await this.#inTurn(async () => {
      await this.#send(batch([createTable(this.#table), deleteTable(this.#table)]))
      await this.#host.look()
      await this.#host.openForwarding([])
    })
  }

  async warnings(): Promise<string[]> {
    await this.#inTurn(() => this.#host.look())
    return this.#host.warnings()
  }
}
