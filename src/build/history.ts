// Builds that were and builds that run: kept in the state, told to whoever listens.
import { errorMessage } from "../base/errors.ts"
import { createLog } from "../base/log.ts"
import type { State } from "../state/state.ts"
import type { Builder, BuildHistory } from "./build.ts"

const log = createLog("build")

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

export const openHistory = (state: State): History => {
  const table = state.buildHistory
  const listeners = new Set<Listener>()
  const tell: Listener = (event) => {
    for (const listener of listeners) listener(event)
  }
  /** How a build ended is told even when the disk is full. */
  const note = (record: BuildHistory): void => {
    try {
      table.put(record.id, record, { durable: false, anyway: true })
    } catch (error) {
      log.warn("a build could not be written into history", { build: record.id, error: errorMessage(error) })
    }
  }
  const forget = (id: string): void => {
    const record = table.find(id)
    if (record === undefined || record.endedAt === 0) return
    state.transaction(() => table.remove(id), { durable: false, makesRoom: true })
    tell({ kind: "deleted", record })
  }
  return {
    list: () => table.list(),
    find: (id) => table.find(id),
    begin(record) {
      note(record)
      tell({ kind: "started", record })
    },
    complete(record) {
      note(record)
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
