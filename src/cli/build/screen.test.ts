// What a terminal shows after all that is drawn: a screen of lines on which the cursor moves.
import { expect, test } from "bun:test"
import type { BuildLine, VertexView } from "../../wire/wire.ts"
import type { Output } from "../output.ts"
import { Screen } from "./screen.ts"
import { Trace } from "./trace.ts"

/** Understands newline, CSI n F, CSI 2 K, CSI 0 J, CSI ?25 l/h and colours. */
function terminal(columns: number, rows: number) {
  const lines: string[] = [""]
  let row = 0
  let text = ""
  let hidden = false
  const output: Output = {
    isTTY: true,
    rows,
    columns,
    write(bytes) {
      const written = typeof bytes === "string" ? bytes : Buffer.from(bytes).toString()
      text += written
      for (const [token, code] of written.matchAll(/\u001b\[([?\d;]*[A-Za-z])|\n|[^\u001b\n]+/g)) {
        if (code === undefined) {
          if (token === "\n") {
            row++
            lines[row] ??= ""
          } else lines[row] = (lines[row] ?? "") + token
        } else if (code.endsWith("F")) row -= Number.parseInt(code, 10)
        else if (code === "2K") lines[row] = ""
        else if (code === "0J") lines.splice(row, lines.length, "")
        else if (code.startsWith("?25")) hidden = code.endsWith("l")
      }
      return undefined
    },
    settled: () => Promise.resolve(),
  }
  return { output, shown: () => lines.join("\n"), written: () => text, hidden: () => hidden }
}

const iso = (at: number) => new Date(at).toISOString()
const now = Date.now()
const vertex = (digest: string, name: string, more: Partial<VertexView> = {}): BuildLine => ({
  vertexes: [{ digest, name, started: iso(now - 2000), ...more }],
})
const log = (digest: string, text: string): BuildLine => ({
  logs: [{ vertex: digest, stream: 1, data: Buffer.from(text).toString("base64"), timestamp: iso(now) }],
})

test("running steps show the tail of their output, ended ones their time; at the end all steps stay", async () => {
  const { output, shown, hidden, written } = terminal(60, 20)
  const screen = new Screen(output, new Trace(), false)
  screen.take(vertex("a", "[1/3] FROM busybox", { completed: iso(now), cached: true }))
  screen.take(vertex("b", "[2/3] RUN make"))
  screen.take(
    log(
      "b",
      `${Array.from({ length: 9 }, (_, line) => `line ${line}`).join("\n")}\n\u001b[31mred\u001b[0m\rover`,
    ),
  )
  await Bun.sleep(150)
  expect(hidden()).toBe(true)
  expect(shown().replace(/\d+\.\ds/g, "0.0s")).toBe(
    [
      "[+] Building 0.0s (1/2)",
      " => CACHED [1/3] FROM busybox                           0.0s",
      " => [2/3] RUN make                                      0.0s",
      ...["line 4", "line 5", "line 6", "line 7", "line 8", "over"].map((text) => ` => => # ${text}`),
      "",
    ].join("\n"),
  )
  screen.take(vertex("b", "[2/3] RUN make", { completed: iso(now) }))
  screen.end()
  expect(hidden()).toBe(false)
  expect(shown().split("\n").slice(1)).toEqual([
    " => CACHED [1/3] FROM busybox                           2.0s",
    " => [2/3] RUN make                                      2.0s",
    "",
  ])
  expect(shown()).toStartWith("[+] Building ")
  expect(shown().split("\n")[0]).toEndWith("(2/2) FINISHED")
  expect(written()).not.toContain("[3")
})

test("what does not fit leaves first where it has ended, and no line is wider than the terminal", async () => {
  const { output, shown } = terminal(30, 8)
  const screen = new Screen(output, new Trace(), true)
  for (let step = 1; step <= 20; step++)
    screen.take(vertex(`d${step}`, `[${step}/22] RUN echo ${"x".repeat(50)}`, { completed: iso(now) }))
  screen.take(vertex("run", "[21/22] RUN sleep\u001b[2J 1000"))
  await Bun.sleep(150)
  const lines = shown().split("\n").filter(Boolean)
  expect(lines.length).toBeLessThanOrEqual(7)
  expect(lines.at(-1)).toContain("RUN sleep")
  expect(lines.at(-1)).not.toContain("\u001b")
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(30)
  screen.end()
  expect(shown().split("\n").filter(Boolean).length).toBe(22)
})

test("a step that is told of in parts counts the time of each", () => {
  const trace = new Trace()
  trace.take(vertex("a", "x", { started: iso(1000), completed: iso(2000) }))
  trace.take(vertex("a", "x", { started: iso(5000) }))
  trace.take(vertex("a", "x", { started: iso(5000), completed: iso(5500) }))
  expect(trace.steps.get("a")?.ran).toBe(1500)
})
