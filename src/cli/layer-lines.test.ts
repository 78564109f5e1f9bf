// The lines of a pull as a terminal shows them, and as a file gets them.
import { expect, test } from "bun:test"
import { drawLines, type ProgressLine } from "./layer-lines.ts"
import type { Output } from "./output.ts"

const draw = async (
  lines: readonly ProgressLine[],
  terminal: { isTTY: boolean; columns?: number },
  quiet = false,
) => {
  let text = ""
  const out: Output = {
    isTTY: terminal.isTTY,
    rows: 24,
    columns: terminal.columns ?? 80,
    write(bytes) {
      text += bytes
      return undefined
    },
    settled: () => Promise.resolve(),
  }
  async function* body() {
    yield Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(""))
  }
  await drawLines(out, body(), { quiet })
  return text
}

/** The rows of a terminal after the text: enough of its language for what is drawn here. */
const screen = (text: string): string[] => {
  const rows: string[] = [""]
  let at = 0
  for (const [, up, down, clear, back, line, words] of text.matchAll(
    /\u001b\[(\d+)A|\u001b\[(\d+)B|(\u001b\[2K)|(\r)|(\n)|([^\u001b\r\n]+)/g,
  )) {
    if (up !== undefined) at -= Number(up)
    else if (down !== undefined) at += Number(down)
    else if (clear !== undefined) rows[at] = ""
    else if (line !== undefined) at++
    else if (back === undefined) rows[at] = (rows[at] ?? "") + words
    rows[at] ??= ""
  }
  return rows
}

const detail = (current: number, total: number) => ({ progressDetail: { current, total } })
const lines: ProgressLine[] = [
  { id: "1", status: "Pulling from team/app" },
  { id: "aaa", status: "Pulling fs layer", progressDetail: {} },
  { id: "bbb", status: "Pulling fs layer", progressDetail: {} },
  { id: "bbb", status: "Downloading", ...detail(500_000, 1_000_000) },
  { id: "aaa", status: "Downloading", ...detail(1_000_000, 2_000_000) },
  { id: "aaa", status: "Pull complete", progressDetail: {} },
  { status: "Digest: sha256:1" },
]

test("on a terminal each layer keeps its line", async () => {
  const rows = screen(await draw(lines, { isTTY: true }))
  expect(rows).toEqual([
    "1: Pulling from team/app",
    "aaa: Pull complete",
    "bbb: Downloading    500kB/1MB",
    "Digest: sha256:1",
    "",
  ])
  const wide = screen(await draw(lines.slice(0, 5), { isTTY: true, columns: 200 }))
  expect(wide[2]).toContain(`[${"=".repeat(25)}>${" ".repeat(24)}]    500kB/1MB`)
})

test("elsewhere only what is not progress is told", async () => {
  expect(await draw(lines, { isTTY: false })).toBe(
    "1: Pulling from team/app\naaa: Pulling fs layer\nbbb: Pulling fs layer\naaa: Pull complete\nDigest: sha256:1\n",
  )
  expect(await draw(lines, { isTTY: true }, true)).toBe("")
})

test("an error ends it", async () => {
  await expect(draw([...lines, { error: "no more" }], { isTTY: false }, true)).rejects.toThrow("no more")
})
