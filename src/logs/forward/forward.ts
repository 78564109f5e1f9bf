// Follows a container's log file and sends each line on, from where it was left the last time: the file is the spool.
import { existsSync, readFileSync } from "node:fs"
import { dirname } from "node:path"
import { writeFileAtomic } from "../../base/atomic-file.ts"
import { errorMessage } from "../../base/errors.ts"
import { createLog } from "../../base/log.ts"
import type { LogEntry, LogForward, LogQuery } from "../logs.ts"
import { content, fluentdEvent, journalHead, syslogLine, tagText } from "./format.ts"
import { openSink, type Sink } from "./sink.ts"
import type { Target } from "./target.ts"

const log = createLog("logs")

/** Milliseconds between two notes of the position: after a crash so much is sent twice, never lost. */
const NOTED_EVERY = 250
const LONGEST_PAUSE = 5000
const MOST_AT_ONCE = 512

/** How many lines of the last time were sent; the monitor gives all that it reads at once the same time. */
interface Position {
  readonly time: bigint
  readonly count: number
}

function readPosition(path: string): Position {
  try {
    const [time = "", count = ""] = readFileSync(path, "utf8").split(" ")
    return { time: BigInt(time), count: Number(count) }
  } catch {
    return { time: 0n, count: 0 }
  }
}

/**
 * Runs until the log ends (or the signal). A receiver that is not there is asked again, with pauses; meanwhile lines wait in
 * the file, as long as its rotation keeps them.
 */
export async function forwardLog(
  read: (path: string, query: LogQuery) => AsyncIterable<readonly LogEntry[]>,
  { path, target, origin, positionPath, signal, ended }: LogForward,
): Promise<void> {
  let position = readPosition(positionPath)
  const noted = { at: 0, position }
  const note = () => {
    if (noted.position === position || !existsSync(dirname(positionPath))) return
    noted.position = position
    noted.at = Date.now()
    writeFileAtomic(positionPath, `${position.time} ${position.count}\n`)
  }
  const doors = new Doors(target)
  const query = {
    stdout: true,
    stderr: true,
    follow: ended !== undefined,
    since: position.time,
    signal,
    ended,
  }
  let skip = position.count
  const { time: from } = position
  const sent = (batch: readonly LogEntry[]) => {
    for (const { timeNano } of batch) {
      position = { time: timeNano, count: timeNano === position.time ? position.count + 1 : 1 }
    }
    if (Date.now() - noted.at > NOTED_EVERY) note()
  }
  try {
    for await (const batch of batches(read(path, query))) {
      const fresh = batch.filter(({ timeNano }) => timeNano !== from || skip-- <= 0)
      if (fresh.length > 0 && !(await deliver(doors, fresh, target, origin, signal))) return
      sent(fresh)
    }
  } finally {
    doors.close()
    note()
  }
}

/** False when it was given up because of the signal. */
async function deliver(
  doors: Doors,
  batch: readonly LogEntry[],
  target: Target,
  origin: LogForward["origin"],
  signal: AbortSignal,
): Promise<boolean> {
  for (let pause = 100, told = false; ; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
    if (signal.aborted) return false
    try {
      await doors.send(batch, target, origin)
      return true
    } catch (error) {
      if (!told)
        log.warn("a log cannot be sent on; it is kept and tried again", {
          container: origin.name,
          error: errorMessage(error),
        })
      told = true
      doors.close()
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer)
          signal.removeEventListener("abort", done)
          resolve()
        }
        const timer = setTimeout(done, pause)
        signal.addEventListener("abort", done)
      })
    }
  }
}

/** The connections to one receiver; the journal has one for each stream. */
class Doors {
  readonly #target: Target
  readonly #open = new Map<string, Sink>()

  constructor(target: Target) {
    this.#target = target
  }

  async #door(name: string, greeting: string): Promise<Sink> {
    const known = this.#open.get(name)
    if (known !== undefined) return known
    const sink = await openSink(this.#target.place, greeting)
    this.#open.set(name, sink)
    return sink
  }

  async send(batch: readonly LogEntry[], target: Target, origin: LogForward["origin"]): Promise<void> {
    switch (target.driver) {
      case "journald":
        for (const entry of batch) {
          const sink = await this.#door(entry.stream, journalHead(tagText(target.tag, origin), entry.stream))
          await sink.send(Buffer.concat([content(entry), Buffer.from("\n")]))
        }
        return
      case "fluentd":
        return (await this.#door("", "")).send(
          Buffer.concat(batch.map((entry) => fluentdEvent(entry, target, origin))),
        )
      case "syslog": {
        const sink = await this.#door("", "")
        const lines = batch.map((entry) => syslogLine(entry, target, origin))
        if (target.place.kind === "udp") for (const line of lines) await sink.send(line)
        else await sink.send(Buffer.concat(lines))
      }
    }
  }

  close(): void {
    for (const sink of this.#open.values()) sink.close()
    this.#open.clear()
  }
}

/** What is there at once, in parts that a receiver takes at once. */
async function* batches(read: AsyncIterable<readonly LogEntry[]>): AsyncGenerator<readonly LogEntry[]> {
  for await (const entries of read)
    for (let from = 0; from < entries.length; from += MOST_AT_ONCE)
      yield entries.slice(from, from + MOST_AT_ONCE)
}
