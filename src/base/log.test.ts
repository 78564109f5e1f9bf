// The shape of a log line.
import { expect, test } from "bun:test"
import { formatLogLine } from "./log.ts"

test("a line has time, level, room, message and fields, with nothing that breaks the line", () => {
  const line = formatLogLine(new Date(0), "warn", "engine", "it failed", {
    id: "abc",
    why: "a\nb",
    none: undefined,
    n: 3,
  })
  expect(line).toBe('1970-01-01T00:00:00.000Z warn engine "it failed" id=abc why="a\\nb" n=3')
})
