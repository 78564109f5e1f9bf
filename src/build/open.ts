// Opens the builder. What builds is loaded by the first that asks for it; until then only records are looked at.
import { existsSync } from "node:fs"
import type { Builder } from "./build.ts"
import type { LoadedBuilder } from "./builder.ts"
import { openHistory } from "./history.ts"
import type { BuildRooms } from "./rooms.ts"

export interface BuilderOptions {
  /** Steps that run at once, of all builds; 16 unless given. */
  readonly parallelism?: number | undefined
  /** Bytes that the cache may take beside the images; a tenth of the disk unless given. */
  readonly budget?: number | undefined
}

export const openBuilder = (rooms: BuildRooms, options: BuilderOptions = {}): Builder => {
  const history = openHistory(rooms.state)
  const running = new Map<string, AbortController>()
  let loading: Promise<LoadedBuilder> | undefined
  let closed = false

  const load = (): Promise<LoadedBuilder> => {
    loading ??= import("./builder.ts").then(async ({ loadBuilder }) => {
      const builder = await loadBuilder(rooms, { ...options, history, running })
      await builder.recover()
      return builder
    })
    loading.catch(() => {
      loading = undefined
    })
    return loading
  }
  /** Whether a build of before left something: otherwise nothing of it need be loaded. */
  const isUnfinished = (): boolean =>
    rooms.state.buildSteps.list().length > 0 || history.list().some(({ endedAt }) => endedAt === 0)

  return {
    solve: async (...words) => (await load()).solve(...words),
    call: async (...words) => (await load()).call(...words),
    export: async (...words) => (await load()).export(...words),
    build: async (...words) => (await load()).build(...words),
    cancel(id) {
      const controller = running.get(id)
      controller?.abort()
      return controller !== undefined
    },
    async usage(filter) {
      const isEmpty = rooms.state.buildRecords.list().length === 0 && !existsSync(rooms.root)
      return isEmpty ? [] : (await load()).usage(filter)
    },
    prune: async (...words) => (await load()).prune(...words),
    async trim(bytes) {
      return rooms.state.buildRecords.list().length === 0 ? 0 : (await load()).trim(bytes)
    },
    history: () => history.list(),
    forget: (id) => history.forget(id),
    onHistory: (listener) => history.listen(listener),
    async recover() {
      if (isUnfinished()) await load()
    },
    async close() {
      if (closed) return
      closed = true
      for (const controller of running.values()) controller.abort()
      await (await loading?.catch(() => undefined))?.close()
    },
  }
}
