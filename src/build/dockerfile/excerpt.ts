// The lines of a Dockerfile that a failure or a finding is about, with some around them, as BuildKit prints them.
import type { Place } from "./instructions.ts"

/** What would steer a terminal is not shown. */
const harmless = (line: string): string =>
  line.replace(/\r$/, "").replace(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g, "\ufffd")

const rule = "--------------------"

/**
 * "Dockerfile:3", a rule, the lines (">>>" before those of the place) and a rule, with a line end at the end; "" when the
 * place is not in the source. One line has four lines of company, more have two, as far as the file goes.
 */
export const excerpt = (file: string, source: Uint8Array, place: Place): string => {
  const lines = new TextDecoder("utf-8", { ignoreBOM: true }).decode(source).split("\n")
  if (place.first < 1 || place.first > lines.length) return ""
  let first = place.first
  let last = Math.min(place.last, lines.length)
  const company = first === last ? 4 : 2
  for (let taken = 0; taken < company; taken++) {
    if (first > 1) {
      first--
      taken++
    }
    if (last < lines.length) {
      last++
      taken++
    }
  }
  const shown = lines.slice(first - 1, last).map((line, index) => {
    const number = first + index
    const mark = number >= place.first && number <= place.last ? ">>>" : "   "
    return ` ${String(number).padStart(3)} | ${mark} ${harmless(line)}`
  })
  return [`${file}:${place.first}`, rule, ...shown, rule, ""].join("\n")
}
