// Builds that were and builds that run: kept in the state, told to whoever listens.
import type { State } from "../state/state.ts"
import type { Builder, BuildHistory } from "./build.ts"

type Listener = Parameters<Builder["onHistory"]>[0]

export interface History {
  list(): readonly BuildHistory[]
  find(id: string): BuildHistory | undefined
  begin(record: BuildHistory): void
  complete(record: BuildHistory): void
  forget(id: string): void
  listen(listener: Listener): () => void
}

/** Finished builds that are remembered; the oldest go first. */
const mostRemembered = 100

export const openHistory = ({ buildHistory: table }: State): History => {
  const listeners = new Set<Listener>()
  const tell: Listener = (event) => {
    for (const listener of listeners) listener(event)
  }
  const forget = (id: string): void => {
    const record = table.find(id)
    if (record === undefined || record.endedAt === 0) return
    table.remove(id, { durable: false })
    tell({ kind: "deleted", record })
  }
  return {
    list: () => table.list(),
    find: (id) => table.find(id),
    begin(record) {
      table.put(record.id, record, { durable: false })
      tell({ kind: "started", record })
    },
    complete(record) {
      table.put(record.id, record, { durable: false })
      tell({ kind: "complete", record })
      const finished = table.list().filter(({ endedAt }) => endedAt !== 0)
      for (const { id } of finished.slice(0, -mostRemembered)) forget(id)
    },
    forget,
    listen(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
