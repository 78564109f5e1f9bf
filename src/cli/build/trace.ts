// A build as it was told so far: steps in the order in which they began, their output and what they are made of.
import type { BuildLine, VertexStatusView, VertexView, WarningView } from "../../wire/wire.ts"

/** Bytes of output that are kept of a step, for the end of one that fails. */
const KEPT = 64 * 1024

export interface LogLine {
  /** Seconds since the step began. */
  readonly at: number
  readonly text: string
}

export interface Step {
  readonly digest: string
  /** From 1, in the order in which steps were told of. */
  readonly index: number
  name: string
  /** Milliseconds since 1970. */
  started?: number
  completed?: number
  cached: boolean
  error: string
  /** Milliseconds of times that it ran before: a step may be told of in parts. */
  ran: number
  readonly parts: Map<string, VertexStatusView>
  /** Last lines, whole ones. */
  readonly log: LogLine[]
  /** The line that is not whole yet. */
  partial: string
  readonly decoder: TextDecoder
  kept: number
}

const time = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : Date.parse(text)

export class Trace {
  readonly steps = new Map<string, Step>()
  readonly warnings: WarningView[] = []

  /** Takes a line in. `lines` are the whole lines of output that came, by step. */
  take(line: BuildLine): { changed: Set<Step>; lines: { step: Step; line: LogLine }[] } {
    const changed = new Set<Step>()
    const lines: { step: Step; line: LogLine }[] = []
    for (const vertex of line.vertexes ?? []) changed.add(this.#vertex(vertex))
    for (const status of line.statuses ?? []) {
      const step = this.#step(status.vertex, "")
      step.parts.set(status.id, status)
      changed.add(step)
    }
    for (const { vertex, data, timestamp } of line.logs ?? []) {
      const step = this.#step(vertex, "")
      changed.add(step)
      const at = Math.max(0, ((time(timestamp) ?? 0) - (step.started ?? time(timestamp) ?? 0)) / 1000)
      for (const text of this.#lines(step, Buffer.from(data, "base64"))) {
        const one = { at, text }
        keep(step, one)
        lines.push({ step, line: one })
      }
    }
    this.warnings.push(...(line.warnings ?? []))
    return { changed, lines }
  }

  /** Instructions among the steps, and how many of them came from the cache. */
  get instructions(): { total: number; cached: number } {
    const all = [...this.steps.values()].filter(({ name }) => /^\[(?!internal\]|auth\])/.test(name))
    return { total: all.length, cached: all.filter(({ cached }) => cached).length }
  }

  /** How many steps there are and how many have ended. */
  get counted(): { total: number; ended: number } {
    const all = [...this.steps.values()]
    return {
      total: all.length,
      ended: all.filter(({ completed }) => completed !== undefined).length,
    }
  }

  #step(digest: string, name: string): Step {
    let step = this.steps.get(digest)
    if (step === undefined) {
      step = {
        digest,
        index: this.steps.size + 1,
        name,
        cached: false,
        error: "",
        ran: 0,
        parts: new Map(),
        log: [],
        partial: "",
        decoder: new TextDecoder(),
        kept: 0,
      }
      this.steps.set(digest, step)
    }
    return step
  }

  #vertex(view: VertexView): Step {
    const step = this.#step(view.digest, view.name)
    if (view.name !== "") step.name = view.name
    const started = time(view.started)
    const completed = time(view.completed)
    if (started !== undefined) {
      if (step.completed !== undefined && completed === undefined) delete step.completed
      step.started = started
    }
    if (completed !== undefined && step.completed === undefined) {
      step.completed = completed
      step.ran += Math.max(0, completed - (step.started ?? completed))
    }
    step.cached = view.cached ?? false
    step.error = view.error ?? ""
    return step
  }

  /** Whole lines of what came; the rest waits, until the step ends. */
  #lines(step: Step, bytes: Uint8Array): string[] {
    const parts = (step.partial + step.decoder.decode(bytes, { stream: true })).split("\n")
    step.partial = parts.pop() ?? ""
    return parts.map((text) => text.replace(/\r$/, ""))
  }

  /** The unfinished line of a step that has ended, if there is one. */
  rest(step: Step): LogLine | undefined {
    if (step.partial === "") return undefined
    const line = { at: seconds(step), text: step.partial }
    step.partial = ""
    keep(step, line)
    return line
  }
}

function keep(step: Step, line: LogLine): void {
  step.log.push(line)
  step.kept += line.text.length
  while (step.kept > KEPT && step.log.length > 1) step.kept -= step.log.shift()?.text.length ?? 0
}

/** Seconds that a step has run. */
export const seconds = (step: Step, now = Date.now()): number =>
  Math.max(
    0,
    step.completed !== undefined ? step.ran : step.started === undefined ? 0 : step.ran + now - step.started,
  ) / 1000

/** What is still to be told of parts: "transferring context: 31B", with how much and how long. */
export function partText(part: VertexStatusView, size: (bytes: number) => string): string {
  // What was sent whole needs no telling of how much was to be sent.
  const total = part.completed !== undefined && part.id.startsWith("transferring ") ? 0 : (part.total ?? 0)
  const amount =
    total > 0 ? ` ${size(part.current)} / ${size(total)}` : part.current > 0 ? ` ${size(part.current)}` : ""
  const started = time(part.started)
  const completed = time(part.completed)
  const lasted = started === undefined ? 0 : ((completed ?? Date.now()) - started) / 1000
  return `${part.id}${amount}${lasted > 0.01 ? ` ${lasted.toFixed(1)}s` : ""}${completed === undefined ? "" : " done"}`
}

/** 1.23kB, as BuildKit's progress writes sizes. */
export function shortSize(bytes: number): string {
  if (bytes < 1000) return `${bytes}B`
  const units = ["kB", "MB", "GB", "TB"]
  let value = bytes
  let unit = -1
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${value.toFixed(2)}${units[unit]}`
}
