// Containers: what lasts as long as its connection: attach, logs, wait, stats.
import { setTimeout as sleep } from "node:timers/promises"
import { errorMessage, failure } from "../../base/errors.ts"
import type { Engine, StatsReading, WaitCondition } from "../../engine/engine.ts"
import type { LogEntry } from "../../logs/logs.ts"
import type { ContainerRecord } from "../../state/state.ts"
import type { WaitResponse } from "../../wire/wire.ts"
import type { Call } from "../call.ts"
import type { Route } from "../route.ts"
import { createBatch } from "../stream/batch.ts"
import { frame, frames, RAW_STREAM, streamType } from "../stream/frames.ts"
import { splice } from "../stream/splice.ts"
import { isRunning } from "../translate/inspect.ts"
import { statsView } from "../translate/stats.ts"

const JSON_STREAM = { "Content-Type": "application/json" }

/** Longest that the answer of a wait is held back for attached clients that are slow to read. */
const LAST_WORDS = 250

/**
 * Milliseconds between the last output and the answer of a wait. A client that finds both at once may take the answer
 * first, from another connection, and close what it wrote the output to (dockerode's run, one time in twenty).
 */
const RESPITE = 10

/** A client that is attached: resolved when it has been given everything, and a moment later. */
interface Attachment {
  readonly given: Promise<void>
  readonly settled: Promise<void>
}

export function containerStreamRoutes({ containers }: Pick<Engine, "containers">): Route[] {
  /** Attached clients by container id, until they have everything. */
  const attachments = new Map<string, Set<Attachment>>()

  function remember(id: string, given: Promise<void>): void {
    const known = attachments.get(id) ?? new Set()
    const attachment = { given, settled: given.then(() => sleep(RESPITE)) }
    attachments.set(id, known.add(attachment))
    attachment.settled.then(() => {
      known.delete(attachment)
      if (known.size === 0) attachments.delete(id)
    })
  }

  async function attach(call: Call): Promise<void> {
    const { query } = call
    const stdin = query.flag("stdin")
    const options = {
      stdin,
      stdout: query.flag("stdout"),
      stderr: query.flag("stderr"),
      logs: query.flag("logs"),
      stream: query.flag("stream"),
      detachKeys: query.find("detachKeys"),
    }
    const { id } = containers.get(call.param("id"))
    const { tty, stream } = await containers.attach(id, options)
    // Attach names its multiplexed stream only to clients that asked for an upgrade, as Docker does.
    const type = call.request.headers.upgrade === undefined ? RAW_STREAM : streamType(tty, call.minor)
    remember(id, splice(call.hijack(type), stream, { stdin, breath: call.breath }))
  }

  async function attachWebSocket(call: Call): Promise<void> {
    const { query } = call
    const { id } = containers.get(call.param("id"))
    const { acceptWebSocket, requireHandshake } = await import("../stream/websocket.ts")
    const key = requireHandshake(call.request)
    // Before 1.42 a WebSocket always had all three streams.
    const wants = (name: string) => call.minor < 42 || query.flag(name)
    const stdin = wants("stdin")
    const { tty, stream } = await containers.attach(id, {
      stdin,
      stdout: wants("stdout"),
      stderr: wants("stderr"),
      logs: query.flag("logs"),
      stream: query.flag("stream"),
      detachKeys: query.find("detachKeys"),
    })
    remember(id, splice(acceptWebSocket(call, key, !tty), stream, { stdin }))
  }

  async function logs(call: Call): Promise<void> {
    const { query } = call
    const record = containers.get(call.param("id"))
    const stdout = query.flag("stdout")
    const stderr = query.flag("stderr")
    if (!stdout && !stderr) {
      throw failure("invalid", "Bad parameters: you must choose at least one stream")
    }
    const timestamps = query.flag("timestamps")
    const details = query.flag("details") ? detailsOf(record) : ""
    const { tty } = record.config
    const entries = containers.logs(record.id, {
      stdout,
      stderr,
      since: query.time("since"),
      until: query.time("until"),
      tail: tailOf(query.text("tail")),
      follow: query.flag("follow"),
      signal: call.gone,
    })
    const iterator = entries[Symbol.asyncIterator]()
    const first = iterator.next()
    // An early failure (no such log) becomes an answer; otherwise the headers must not wait for the first line.
    await Promise.race([first, new Promise((go) => setImmediate(go))])
    const output = call.stream({ "Content-Type": streamType(tty, call.minor) })
    const batch = createBatch(output)
    try {
      for (let next = await first; next.done !== true; next = await iterator.next()) {
        const plain = !timestamps && details === ""
        const shown = plain ? next.value : next.value.map((entry) => withPrefix(entry, timestamps, details))
        const wait = batch.push(frames(shown, tty))
        if (wait !== undefined) await wait
        if (call.gone.aborted) break
      }
    } catch (error) {
      if (!call.gone.aborted) {
        batch.push(frame("stderr", Buffer.from(`Error grabbing logs: ${errorMessage(error)}\n`)))
      }
    }
    await iterator.return?.()
    batch.flush()
    output.end()
  }

  async function wait(call: Call): Promise<void> {
    const condition = waitCondition(call.query.text("condition"))
    const { id } = containers.get(call.param("id"))
    const { ended, cancel } = containers.wait(id, condition)
    const output = call.stream(JSON_STREAM)
    call.gone.addEventListener("abort", cancel)
    try {
      const { exitCode, error } = await ended
      // Who waits and is attached shall have the last output before the exit code, as with Docker.
      const words = [...(attachments.get(id) ?? [])].map(({ given, settled }) =>
        call.awaitsStreams ? given : settled,
      )
      if (words.length > 0) await Promise.race([Promise.all(words), pause(LAST_WORDS, call.gone)])
      const answer: WaitResponse = {
        StatusCode: exitCode,
        ...(error ? { Error: { Message: error } } : {}),
      }
      output.end(`${JSON.stringify(answer)}\n`)
    } catch (error) {
      if (!call.gone.aborted) {
        output.end(`${JSON.stringify({ StatusCode: -1, Error: { Message: errorMessage(error) } })}\n`)
      }
    }
  }

  async function stats(call: Call): Promise<void> {
    const record = containers.get(call.param("id"))
    const stream = call.query.flag("stream", true)
    const oneShot = call.query.flag("one-shot")
    if (stream && oneShot) {
      throw failure("invalid", "cannot have stream=true and one-shot=true")
    }
    const read = async (): Promise<StatsReading | undefined> => {
      const now = containers.find(record.id)
      return now !== undefined && isRunning(now) ? containers.stats(record.id) : undefined
    }
    if (!stream) {
      const previous = oneShot ? undefined : await read()
      if (previous !== undefined) await pause(1000, call.gone)
      call.json(statsView(record, await read(), previous))
      return
    }
    const { gone } = call
    const output = call.stream(JSON_STREAM)
    let previous: StatsReading | undefined
    while (!gone.aborted) {
      const reading = await read().catch(() => undefined)
      if (containers.find(record.id) === undefined) break
      output.write(`${JSON.stringify(statsView(record, reading, previous))}\n`)
      previous = reading
      await pause(1000, gone)
    }
    output.end()
  }

  return [
    {
      method: "POST",
      path: "/containers/:id/attach",
      summary: "Attach to its streams",
      support: "yes",
      hijacks: true,
      run: attach,
    },
    {
      method: "GET",
      path: "/containers/:id/attach/ws",
      summary: "Attach over a WebSocket",
      support: "yes",
      websocket: true,
      run: attachWebSocket,
    },
    { method: "GET", path: "/containers/:id/logs", summary: "Read its log", support: "yes", run: logs },
    { method: "POST", path: "/containers/:id/wait", summary: "Wait for its end", support: "yes", run: wait },
    {
      method: "GET",
      path: "/containers/:id/stats",
      summary: "Read its resource use",
      support: "yes",
      run: stats,
    },
  ]
}

function waitCondition(text: string): WaitCondition {
  switch (text) {
    case "":
    case "not-running":
      return "not-running"
    case "next-exit":
    case "removed":
      return text
    default:
      throw failure("invalid", `invalid condition: ${JSON.stringify(text)}`)
  }
}

/** An entry as `logs` shows it with the time, and with details that end in a space. */
const withPrefix = (entry: LogEntry, timestamps: boolean, details: string): LogEntry => ({
  ...entry,
  line: Buffer.concat([Buffer.from(`${timestamps ? `${entry.time} ` : ""}${details}`), entry.line]),
})

/** Docker takes anything that is no number as "all". */
const tailOf = (text: string): number | undefined => (/^\d{1,9}$/.test(text) ? Number(text) : undefined)

/** Labels and variables that the log options name, as docker logs --details shows them before each line. */
function detailsOf({ config }: ContainerRecord): string {
  const wanted = (option: string) => new Set((config.logOptions[option] ?? "").split(",").filter(Boolean))
  const labels = wanted("labels")
  const variables = wanted("env")
  const pairs = [
    ...Object.entries(config.labels).filter(([key]) => labels.has(key)),
    ...config.env
      .map((entry): [string, string] => {
        const equals = entry.indexOf("=")
        return equals < 0 ? [entry, ""] : [entry.slice(0, equals), entry.slice(equals + 1)]
      })
      .filter(([key]) => variables.has(key)),
  ]
  const text = pairs.map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`)
  return `${text.sort().join(",")} `
}

function pause(milliseconds: number, gone: AbortSignal): Promise<void> {
  if (gone.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      gone.removeEventListener("abort", done)
      resolve()
    }
    const timer = setTimeout(done, milliseconds)
    gone.addEventListener("abort", done)
  })
}
