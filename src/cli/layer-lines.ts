// Draws the lines of pull and push: on a terminal each layer keeps its line, elsewhere only what is not progress is told.

import { failure } from "../base/errors.ts"
import { readLines } from "../client/client.ts"
import { humanSize } from "./format/units.ts"
import type { Output } from "./output.ts"

export interface ProgressLine {
  readonly id?: string
  readonly status?: string
  readonly progressDetail?: { readonly current?: number; readonly total?: number }
  readonly error?: string
}

const barWidth = 50
/** Narrower terminals get numbers alone. */
const narrow = 110

const bar = (current: number, total: number): string => {
  const filled = Math.min(barWidth, Math.floor((current / total) * barWidth))
  return `[${"=".repeat(filled)}${filled < barWidth ? ">" : ""}${" ".repeat(Math.max(0, barWidth - filled - 1))}] `
}

const detailText = (
  { current = 0, total = 0 }: { current?: number; total?: number },
  columns: number,
): string => {
  if (current <= 0 && total <= 0) return ""
  const numbers = humanSize(current).padStart(8)
  if (total <= 0 || current > total) return numbers
  return `${columns > narrow ? bar(current, total) : ""}${numbers}/${humanSize(total)}`
}

/**
 * Shows a progress stream until its end. Throws what the stream ends with when it is an error. `quiet` shows nothing.
 */
export const drawLines = async (
  out: Output,
  body: AsyncIterable<Uint8Array>,
  options: { quiet?: boolean } = {},
): Promise<void> => {
  const places = new Map<string, number>()
  for await (const line of readLines<ProgressLine>(body)) {
    if (line.error !== undefined) throw failure("unavailable", line.error)
    const { id, status = "", progressDetail: detail } = line
    if (options.quiet || status === "") continue
    const text = id === undefined ? status : `${id}: ${status}`
    const shown = detail === undefined ? "" : detailText(detail, out.columns)
    if (!out.isTTY) {
      if (shown === "") await out.write(`${text}\n`)
      continue
    }
    if (id === undefined || detail === undefined) {
      // Lines above this one are not drawn again.
      places.clear()
      await out.write(`${text}\n`)
      continue
    }
    let place = places.get(id)
    if (place === undefined) {
      place = places.size
      places.set(id, place)
      await out.write("\n")
    }
    const up = places.size - place
    await out.write(`\u001b[${up}A\r\u001b[2K${text}${shown === "" ? "" : ` ${shown}`}\r\u001b[${up}B`)
  }
}
