// Reads a json-file log: the files there are, then what is appended, across rotations.
import { type FSWatcher, watch } from "node:fs"
import { dirname } from "node:path"
import { setImmediate as nextTurn } from "node:timers/promises"
import { closeFiles, isNewest, type LogFile, openFiles, readMore, readRest, seekLastLines } from "./files.ts"
import type { LogEntry, LogQuery, Logs } from "./logs.ts"

/** How long to sleep at most: events may be lost or not be there at all. */
const watchedMilliseconds = 500
const unwatchedMilliseconds = 100

/** Wakes a follower when the log's directory changes, it ends, or time passes. */
class Bell {
  readonly #directory: string
  #watcher: FSWatcher | undefined
  #ring: (() => void) | undefined
  #rung = false

  constructor(path: string) {
    this.#directory = dirname(path)
    this.#watch()
  }

  #watch(): void {
    try {
      this.#watcher = watch(this.#directory, { persistent: false }, () => this.ring())
      this.#watcher.on("error", () => this.close())
    } catch {
      // No inotify instance left, or no directory before the first line: the timer alone wakes.
    }
  }

  ring(): void {
    this.#rung = true
    this.#ring?.()
  }

  async wait(): Promise<void> {
    if (!this.#rung) {
      if (this.#watcher === undefined) this.#watch()
      const { promise, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(
        resolve,
        this.#watcher === undefined ? unwatchedMilliseconds : watchedMilliseconds,
      )
      this.#ring = resolve
      await promise
      clearTimeout(timer)
      this.#ring = undefined
    }
    this.#rung = false
  }

  close(): void {
    this.#watcher?.close()
    this.#watcher = undefined
  }
}

/** The files that are newer than the one read last; the log was rotated when there are any. */
const newerFiles = (path: string, current: LogFile): LogFile[] => {
  if (isNewest(path, current)) return []
  const files = openFiles(path)
  const index = files.findIndex((file) => file.inode === current.inode)
  const older = files.slice(0, index + 1)
  closeFiles(older)
  return files.slice(index + 1)
}

async function* entriesOf(path: string, query: LogQuery): AsyncGenerator<readonly LogEntry[]> {
  let files = openFiles(path)
  const bell = query.follow ? new Bell(path) : undefined
  let ended = !query.follow
  const ring = () => bell?.ring()
  query.ended?.then(
    () => {
      ended = true
      ring()
    },
    () => {
      ended = true
      ring()
    },
  )
  query.signal?.addEventListener("abort", ring, { once: true })
  try {
    if (query.tail !== undefined) seekLastLines(files, query.tail)
    for (;;) {
      // Asked before reading: what was written before the end is then certainly read.
      const last = ended
      for (const file of files) {
        for (let lines = readMore(file); lines !== undefined; lines = readMore(file)) {
          yield lines
          if (query.signal?.aborted) return
          await nextTurn()
        }
      }
      const current = files.at(-1)
      const newer = current === undefined ? openFiles(path) : query.follow ? newerFiles(path, current) : []
      if (newer.length > 0) {
        // The writer may have added to the old file just before it rotated.
        if (current !== undefined)
          for (let lines = readMore(current); lines !== undefined; lines = readMore(current)) yield lines
        closeFiles(files)
        files = newer
        continue
      }
      if (last || query.signal?.aborted) {
        // Only the newest file can be torn by a write that is still under way.
        const entry = current && readRest(current)
        if (entry !== undefined) yield [entry]
        return
      }
      await bell?.wait()
    }
  } finally {
    query.signal?.removeEventListener("abort", ring)
    bell?.close()
    closeFiles(files)
  }
}

/** A follower that stops by itself at a time to come. */
const withDeadline = (query: LogQuery): { query: LogQuery; release(): void } => {
  if (!query.follow || query.until === undefined) return { query, release: () => {} }
  const milliseconds = Number(query.until / 1_000_000n) - Date.now()
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, Math.min(Math.max(0, milliseconds), 2 ** 31 - 1))
  timer.unref()
  const ended = query.ended === undefined ? promise : Promise.race([promise, query.ended])
  return { query: { ...query, ended }, release: () => clearTimeout(timer) }
}

async function* selected(path: string, asked: LogQuery): AsyncGenerator<readonly LogEntry[]> {
  const { query, release } = withDeadline(asked)
  try {
    const { since, until, stdout, stderr } = query
    const wanted = ({ stream, timeNano }: LogEntry): boolean =>
      (stream === "stdout" ? stdout : stderr) && (since === undefined || timeNano >= since)
    for await (const lines of entriesOf(path, query)) {
      const end = until === undefined ? -1 : lines.findIndex(({ timeNano }) => timeNano > until)
      const before = end < 0 ? lines : lines.slice(0, end)
      // Lines that are all wanted stay the array that other readers have, too.
      const found = before.every(wanted) ? before : before.filter(wanted)
      if (found.length > 0) yield found
      if (end >= 0) return
    }
  } finally {
    release()
  }
}

/** The log room. Reading holds descriptors only while it is iterated. */
export const createLogs = (): Logs => ({
  read: selected,
  forward: async (forward) => (await import("./forward/forward.ts")).forwardLog(selected, forward),
})
