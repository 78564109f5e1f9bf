// Progress on a terminal: a few lines that are drawn again as steps run, the last lines of their output beneath them.
import type { BuildLine } from "../../wire/wire.ts"
import type { Output } from "../output.ts"
import type { Display } from "./plain.ts"
import { partText, type Step, seconds, shortSize, type Trace } from "./trace.ts"

const PAUSE = 100 // milliseconds between two drawings
const TAIL = 6 // lines of output beneath a running step
const SAVE = "\u001b["

interface Style {
  readonly done: string
  readonly failed: string
  readonly faint: string
  readonly plain: string
}

const coloured: Style = {
  done: `${SAVE}34m`,
  failed: `${SAVE}31m`,
  faint: `${SAVE}2m`,
  plain: `${SAVE}0m`,
}
const colourless: Style = { done: "", failed: "", faint: "", plain: "" }

export class Screen implements Display {
  readonly #out: Output
  readonly #trace: Trace
  readonly #style: Style
  readonly #began = Date.now()
  #drawn = 0
  #timer: ReturnType<typeof setInterval> | undefined
  #changed = true
  #ended = false

  constructor(out: Output, trace: Trace, colours: boolean) {
    this.#out = out
    this.#trace = trace
    this.#style = colours ? coloured : colourless
    this.#timer = setInterval(() => this.#draw(), PAUSE)
    // The cursor would blink at the end of whatever line is drawn.
    void out.write(`${SAVE}?25l`)
  }

  take(line: BuildLine): void {
    this.#trace.take(line)
    this.#changed = true
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    clearInterval(this.#timer)
    this.#changed = true
    this.#draw(true)
    void this.#out.write(`${SAVE}?25h`)
  }

  /** With `whole`, all steps, for good; else what fits. */
  #draw(whole = false): void {
    const running = [...this.#trace.steps.values()].some(
      ({ started, completed }) => started !== undefined && completed === undefined,
    )
    if (!this.#changed && !running) return
    this.#changed = false
    const width = Math.max(20, this.#out.columns || 80)
    const { total, ended } = this.#trace.counted
    const state = whole && ended === total ? " FINISHED" : ""
    const time = ((Date.now() - this.#began) / 1000).toFixed(1)
    const lines = [
      cut(`[+] Building ${time}s (${ended}/${total})${state}`, width),
      ...this.#lines(width, whole),
    ]
    const up = this.#drawn > 0 ? `${SAVE}${this.#drawn}F` : ""
    const text = lines.map((line) => `${SAVE}2K${line}\n`).join("")
    void this.#out.write(`${up}${text}${SAVE}0J`)
    this.#drawn = lines.length
  }

  #lines(width: number, whole: boolean): string[] {
    const steps = [...this.#trace.steps.values()].filter(
      ({ name, started, completed }) => name !== "" && (started !== undefined || completed !== undefined),
    )
    const most = whole ? Number.POSITIVE_INFINITY : Math.max(4, (this.#out.rows || 24) - 2)
    const blocks = steps.map((step) => ({
      live: step.completed === undefined,
      lines: this.#block(step, width, whole),
    }))
    // What has ended makes room first, the oldest first; then the output of what runs.
    let count = blocks.reduce((sum, { lines }) => sum + lines.length, 0)
    for (const block of blocks) {
      if (count <= most) break
      if (block.live) continue
      count -= block.lines.length
      block.lines = []
    }
    const lines = blocks.flatMap((block) => block.lines)
    return lines.length > most ? lines.slice(lines.length - most) : lines
  }

  #block(step: Step, width: number, whole: boolean): string[] {
    const { done, failed, plain } = this.#style
    const ended = step.completed !== undefined
    const colour = step.error !== "" ? failed : ended ? done : ""
    const mark =
      step.error !== "" ? (/cancel/.test(step.error) ? "CANCELED " : "ERROR ") : step.cached ? "CACHED " : ""
    const head = line(` => ${mark}${step.name}`, `${seconds(step).toFixed(1)}s`, width)
    const parts =
      ended && whole && !step.name.startsWith("[internal]") && !/^(export|writing)/.test(step.name)
        ? []
        : [...step.parts.values()].slice(-4)
    return [
      `${colour}${head}${colour === "" ? "" : plain}`,
      ...parts.map(
        (part) =>
          `${colour}${cut(` => => ${partText(part, shortSize)}`, width)}${colour === "" ? "" : plain}`,
      ),
      ...(ended ? [] : this.#tail(step, width)),
    ]
  }

  #tail(step: Step, width: number): string[] {
    const { faint, plain } = this.#style
    const texts = step.log.slice(-TAIL).map(({ text }) => text)
    if (step.partial !== "") texts.push(step.partial)
    return texts.slice(-TAIL).map((text) => `${faint}${cut(` => => # ${visible(text)}`, width)}${plain}`)
  }
}

/** Output may move the cursor or change colours: none of that belongs into our lines. */
const visible = (text: string): string =>
  (text.split("\r").filter(Boolean).at(-1) ?? "")
    .replace(/\u001b(\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(\u0007|\u001b\\)|.)/g, "")
    .replace(/[\u0000-\u001f\u007f]/g, " ")

const cut = (text: string, width: number): string => {
  const letters = [...text]
  return letters.length <= width ? text : letters.slice(0, width).join("")
}

/** Text to the left, a time at the right edge. */
const line = (left: string, right: string, width: number): string => {
  const room = width - right.length - 1
  return `${cut(visible(left), room).padEnd(room)} ${right}`
}
