// Sizes and times as docker shows them.
import { humanDuration } from "../../base/duration.ts"

/** 1.5 kB, 12.3 MB: powers of 1000, four significant digits at most, no space. */
export function humanSize(bytes: number, digits = 4): string {
  return scaled(bytes, 1000, ["B", "kB", "MB", "GB", "TB", "PB"], digits)
}

/** KiB, MiB: powers of 1024. */
export function binarySize(bytes: number, digits = 4): string {
  return scaled(bytes, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"], digits)
}

function scaled(value: number, base: number, names: readonly string[], digits: number): string {
  let index = 0
  let size = value
  while (size >= base && index < names.length - 1) {
    size /= base
    index++
  }
  return `${Number(size.toPrecision(digits))}${names[index]}`
}

/** How long ago a unix time (seconds) was. */
export const ago = (seconds: number): string => `${humanDuration(Date.now() - seconds * 1000)} ago`

const two = (number: number) => String(number).padStart(2, "0")

/** The parts of a moment in our own time zone: "2026-11-21", "10:15:31", "+0100". */
export function localParts(at: Date): { day: string; time: string; offset: string } {
  const minutes = -at.getTimezoneOffset()
  const far = Math.abs(minutes)
  return {
    day: `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`,
    time: `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`,
    offset: `${minutes < 0 ? "-" : "+"}${two(Math.floor(far / 60))}${two(far % 60)}`,
  }
}

function goPrinted(at: Date, fraction: string): string {
  const { day, time, offset } = localParts(at)
  const zone =
    offset === "+0000"
      ? "UTC"
      : (at.toLocaleTimeString("en", { timeZoneName: "short" }).split(" ").at(-1) ?? "")
  return `${day} ${time}${fraction} ${offset} ${zone}`
}

/** Go's default print of a unix time, in our own time zone. */
export const goTime = (seconds: number): string => goPrinted(new Date(seconds * 1000), "")

/** The same of an RFC 3339 time, with its fraction but without that one's trailing zeros. */
export function goTimeOf(text: string): string {
  const fraction = (/\.\d+/.exec(text)?.[0] ?? "").replace(/\.?0+$/, "")
  return goPrinted(new Date(text), fraction)
}

/** First twelve hex digits of an id, without its algorithm. */
export const shortId = (id: string): string => id.replace(/^sha256:/, "").slice(0, 12)

/** Cut with an ellipsis. */
export const ellipsis = (text: string, length: number): string =>
  text.length <= length || [...text].length <= length ? text : `${[...text].slice(0, length - 1).join("")}…`
