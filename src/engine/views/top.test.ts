// Process tables, from ps and from /proc.
import { expect, test } from "bun:test"
import { parsePs, readProcesses } from "./top.ts"

test("ps output is cut into columns and filtered by pid", () => {
  const output = "UID   PID  CMD\nroot    1  init --x\nroot   22  sh -c 'a  b'\n"
  expect(parsePs(output, new Set([22]))).toEqual({
    titles: ["UID", "PID", "CMD"],
    processes: [["root", "22", "sh -c 'a b'"]],
  })
  expect(() => parsePs("UID CMD\n", new Set())).toThrow("Couldn't find PID field in ps output")
})

test("without ps, /proc tells the same", () => {
  const { titles, processes } = readProcesses([process.pid, 2 ** 30])
  expect(titles).toEqual(["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"])
  expect(processes.length).toBe(1)
  expect(processes[0]?.[1]).toBe(String(process.pid))
  expect(processes[0]?.[4]).toMatch(/^\d\d:\d\d$/)
})
