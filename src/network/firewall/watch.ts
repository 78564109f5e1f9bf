// Notices what anybody changes in nf_tables, for as long as the engine lives.
import { setTimeout as sleep } from "node:timers/promises"
import type { Kernel, Plan } from "../../kernel/kernel.ts"
import type { TableEvent } from "../../kernel/netlink/netlink.ts"
import { readTableEvents, TABLES_GROUP } from "../../kernel/netlink/netlink.ts"

const PLAN: Plan = [["netlink-watch"], ["namespace", "host"], ["group", "netfilter", String(TABLES_GROUP)]]
/** After this many milliseconds a watch that ended, for example with its launcher, is begun anew. */
const AGAIN_AFTER = 100

/** What happened at once: the tables that changed, and the name of the process that changed them. */
export interface TablesChange {
  readonly by: string
  readonly tables: readonly { readonly family: number; readonly table: string }[]
}

export interface WatchReports {
  changed(change: TablesChange): void
  /** Changes may have been missed. */
  missed(): void
}

export class TableWatch {
  readonly #kernel: Kernel
  readonly #reports: WatchReports
  readonly #closing = new AbortController()
  #running: Promise<void> | undefined
  #pending: { family: number; table: string }[] = []

  constructor(kernel: Kernel, reports: WatchReports) {
    this.#kernel = kernel
    this.#reports = reports
  }

  /** Resolves when everything from now on is noticed. Throws when the first try to watch fails. */
  start(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#running ??= this.#run(resolve, reject)
    return promise
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  async #run(listening: () => void, failed: (error: unknown) => void): Promise<void> {
    const { signal } = this.#closing
    for (let first = true; !signal.aborted; first = false) {
      try {
        for await (const bytes of this.#kernel.receive(PLAN, signal))
          for (const event of readTableEvents(Buffer.from(bytes))) {
            if (event.kind === "listening" && !first) this.#reports.missed()
            else if (event.kind === "listening") listening()
            else this.#take(event)
          }
      } catch (error) {
        if (first) failed(error)
      }
      this.#pending = []
      await sleep(AGAIN_AFTER, undefined, { signal }).catch(() => undefined)
    }
  }

  #take(event: TableEvent): void {
    if (event.kind === "changed") this.#pending.push({ family: event.family, table: event.table })
    if (event.kind === "lost") this.#reports.missed()
    if (event.kind !== "done") return
    const tables = this.#pending
    this.#pending = []
    this.#reports.changed({ by: event.by, tables })
  }
}
