// Progress as lines, in BuildKit's plain form: "#5 [2/3] RUN make", "#5 0.123 text", "#5 DONE 0.3s".
import type { BuildLine } from "../../wire/wire.ts"
import type { Output } from "../output.ts"
import { type LogLine, partText, type Step, seconds, shortSize, type Trace } from "./trace.ts"

/** Milliseconds between two tellings of a part that has not ended. */
const PAUSE = 5000

/** How a build is shown while it runs. */
export interface Display {
  take(line: BuildLine): void
  /** What is on the screen stays; nothing more is drawn. */
  end(): void
}

/** Five characters: "0.123", "12.34", "123.4". */
export const clock = (value: number): string => {
  const whole = Math.floor(value).toString().length
  return value.toFixed(Math.max(0, 4 - whole)).slice(0, 5)
}

export class Plain implements Display {
  readonly #out: Output
  readonly #trace: Trace
  /** The step whose lines come now; 0 = none. */
  #current: Step | undefined
  #numbers = new Map<Step, number>()
  readonly #told = new Map<string, { text: string; at: number }>()
  readonly #ended = new Set<Step>()
  #first = true
  #waiting = ""

  constructor(out: Output, trace: Trace) {
    this.#out = out
    this.#trace = trace
  }

  take(line: BuildLine): void {
    const { changed, lines } = this.#trace.take(line)
    for (const step of changed) {
      if (step.name === "" || step.started === undefined) continue
      if (this.#ended.has(step) && step.completed !== undefined) continue
      this.#ended.delete(step)
      const own = lines.filter((one) => one.step === step).map((one) => one.line)
      this.#show(step, own)
    }
    if (this.#waiting !== "") void this.#out.write(this.#waiting)
    this.#waiting = ""
  }

  end(): void {}

  #show(step: Step, log: readonly LogLine[]): void {
    const parts = [...step.parts.values()].flatMap((part) => this.#part(step, part.id) ?? [])
    const ended = step.completed !== undefined
    const told = this.#numbers.has(step)
    if (told && log.length === 0 && parts.length === 0 && !ended) return
    // One step at a time: another's lines interrupt it only when it has something to say.
    if (told && this.#current !== step && log.length === 0 && parts.length === 0 && !ended) return
    this.#head(step)
    const number = this.#numbers.get(step)
    for (const text of parts) this.#line(`#${number} ${text}`)
    for (const { at, text } of log) this.#line(`#${number} ${clock(at)} ${text}`)
    if (!ended) return
    const rest = this.#trace.rest(step)
    if (rest !== undefined) this.#line(`#${number} ${clock(rest.at)} ${rest.text}`)
    this.#line(`#${number} ${ending(step)}`)
    this.#ended.add(step)
    this.#current = undefined
  }

  #head(step: Step): void {
    if (this.#current === step) return
    if (this.#current !== undefined) this.#line(`#${this.#numbers.get(this.#current)} ...`)
    let number = this.#numbers.get(step)
    if (number === undefined) {
      number = this.#numbers.size + 1
      this.#numbers.set(step, number)
    }
    if (!this.#first) this.#line("")
    this.#first = false
    this.#line(`#${number} ${step.name}`)
    this.#current = step
  }

  /** A part's line, when it has changed and it is time to tell. */
  #part(step: Step, id: string): string | undefined {
    const part = step.parts.get(id)
    if (part === undefined) return undefined
    const text = partText(part, shortSize)
    const key = `${step.digest} ${id}`
    const before = this.#told.get(key)
    if (before?.text === text || before?.text.endsWith(" done")) return undefined
    if (before !== undefined && part.completed === undefined && Date.now() - before.at < PAUSE)
      return undefined
    this.#told.set(key, { text, at: Date.now() })
    return text
  }

  #line(text: string): void {
    this.#waiting += `${text}\n`
  }
}

const ending = (step: Step): string => {
  if (step.error !== "")
    return /context canceled|cancelled/.test(step.error) ? "CANCELED" : `ERROR: ${step.error}`
  return step.cached ? "CACHED" : `DONE ${seconds(step).toFixed(1)}s`
}
