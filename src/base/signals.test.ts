import { expect, test } from "bun:test"
import { parseSignal } from "./signals.ts"

test("reads names with and without SIG, numbers, and realtime signals", () => {
  expect(["SIGTERM", "term", "15", "IOT", "RTMIN+3", "SIGRTMAX-1"].map(parseSignal)).toEqual([
    15, 15, 15, 6, 37, 63,
  ])
})

test("names what is no signal", () => {
  for (const text of ["0", "65", "SIGNOPE", "RTMIN-1", ""])
    expect(() => parseSignal(text)).toThrow(`invalid signal: ${text}`)
})
