// Reads a json-file log: the files there are, then what is appended, across rotations.
import { type FSWatcher, watch } from "node:fs"
import { dirname } from "node:path"
import { setImmediate as nextTurn } from "node:timers/promises"
import { closeFiles, isNewest, type LogFile, openFiles, readMore, seekLastLines } from "./files.ts"
import { parseLine } from "./json-file.ts"
import type { LogEntry, LogQuery, Logs } from "./logs.ts"

/** How long to sleep at most: events may be lost or not be there at all. */
const watchedMilliseconds = 500
const unwatchedMilliseconds = 100
const newline = 10
/** A line longer than this is no line of a log: it is dropped. */
const longestLine = 8 << 20

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

/** Cuts bytes into whole lines; the torn rest waits for what follows it. */
class Lines {
  #rest: Uint8Array = new Uint8Array(0)

  /** What is left at the end of a file. */
  flush(): string {
    const text = Buffer.from(this.#rest).toString("utf8")
    this.#rest = new Uint8Array(0)
    return text
  }

  *feed(chunk: Uint8Array): Iterable<string> {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let start = 0
    for (;;) {
      const end = bytes.indexOf(newline, start)
      if (end < 0) break
      yield Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("utf8")
      start = end + 1
    }
    this.#rest = bytes.length - start > longestLine ? new Uint8Array(0) : bytes.slice(start)
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

async function* entriesOf(path: string, query: LogQuery): AsyncGenerator<LogEntry> {
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
    const lines = new Lines()
    for (;;) {
      // Asked before reading: what was written before the end is then certainly read.
      const last = ended
      for (const [index, file] of files.entries()) {
        for (let chunk = readMore(file); chunk !== undefined; chunk = readMore(file)) {
          for (const line of lines.feed(chunk)) {
            const entry = parseLine(line)
            if (entry !== undefined) yield entry
          }
          if (query.signal?.aborted) return
          await nextTurn()
        }
        // Only the newest file can be torn by a write that is still under way.
        if (index < files.length - 1) lines.flush()
      }
      const current = files.at(-1)
      const newer = current === undefined ? openFiles(path) : query.follow ? newerFiles(path, current) : []
      if (newer.length > 0) {
        // The writer may have added to the old file just before it rotated.
        if (current !== undefined) {
          for (let chunk = readMore(current); chunk !== undefined; chunk = readMore(current)) {
            for (const line of lines.feed(chunk)) {
              const entry = parseLine(line)
              if (entry !== undefined) yield entry
            }
          }
          lines.flush()
        }
        closeFiles(files)
        files = newer
        continue
      }
      if (last || query.signal?.aborted) {
        const entry = parseLine(lines.flush())
        if (entry !== undefined) yield entry
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

async function* selected(path: string, asked: LogQuery): AsyncGenerator<LogEntry> {
  const { query, release } = withDeadline(asked)
  try {
    for await (const entry of entriesOf(path, query)) {
      if (query.until !== undefined && entry.timeNano > query.until) return
      if (query.since !== undefined && entry.timeNano < query.since) continue
      if (entry.stream === "stdout" ? query.stdout : query.stderr) yield entry
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
