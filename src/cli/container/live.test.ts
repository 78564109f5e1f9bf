import { expect, test } from "bun:test"
import { liveLines, type Moment, paintFor } from "./live.ts"

const plain = paintFor(false, {})
const view = { rows: 0, columns: 0, each: 1, clock: "10:00:00", paint: plain }
const moments: readonly Moment[] = [
  { name: "idle", state: "exited", status: "Exited (1) 2 hours ago" },
  {
    name: "web",
    state: "running",
    status: "Up 2 hours",
    use: { cpu: "3.00%", memory: "1MiB / 1GiB", pids: "2" },
    processes: {
      titles: ["PID", "COMMAND"],
      rows: [
        ["1", "serve"],
        ["7", "worker"],
      ],
    },
  },
]

test("the busiest first, with its processes", () => {
  expect(liveLines(moments, view)).toEqual([
    "10:00:00  2 containers: 1 exited, 1 running",
    "",
    "NAME      STATE     CPU %     MEM USAGE / LIMIT   PIDS      STATUS",
    "web       running   3.00%     1MiB / 1GiB         2         Up 2 hours",
    "    PID   COMMAND",
    "    1     serve",
    "    … 1 more",
    "idle      exited    -         -                   -         Exited (1) 2 hours ago",
  ])
})

test("it fits the terminal", () => {
  const lines = liveLines(moments, { ...view, rows: 6, columns: 30 })
  expect(lines).toHaveLength(5)
  expect(Math.max(...lines.map((line) => line.length))).toBe(30)
  expect(liveLines([], view)[0]).toBe("10:00:00  0 containers")
})

test("colours on a terminal only, never against NO_COLOR", () => {
  expect(paintFor(true, {}).good("a")).toBe("\u001b[32ma\u001b[0m")
  expect(paintFor(true, { NO_COLOR: "1" }).good("a")).toBe("a")
  expect(paintFor(true, { TERM: "dumb" }).good("a")).toBe("a")
  expect(paintFor(false, {}).good("a")).toBe("a")
})
