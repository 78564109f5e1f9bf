// Puts the figures of a whole run into SPECIFICATION.md, between its two markers.
import { readFileSync, writeFileSync } from "node:fs"
import { cpus, release } from "node:os"
import { join } from "node:path"
import { kept, type Outcome } from "./promise.ts"

const path = join(import.meta.dirname, "..", "..", "SPECIFICATION.md")
const [begin, end] = ["<!-- figures: written by npm run bench -->", "<!-- end of figures -->"]

const show = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toFixed(2))

function row(outcome: Outcome): string {
  const sign = outcome.better === "lower" ? "at most" : "at least"
  const figures = Object.entries(outcome.figures).map(([name, value]) => `${name} ${show(value)}`)
  const verdict = kept(outcome) ? "kept" : "**missed**"
  return `| ${outcome.promise} | ${sign} ${outcome.limit} ${outcome.unit} | ${show(outcome.measured)} ${outcome.unit} | ${verdict} | ${figures.join(", ")} |`
}

const head = "| promise | limit | measured | | medians |\n| --- | --- | --- | --- | --- |"

/** The table's rows, by promise. */
function rowsOf(table: string): Map<string, string> {
  const rows = table.split("\n").filter((line) => line.startsWith("| ") && !head.includes(line))
  return new Map(rows.map((line) => [line.slice(2, line.indexOf(" | ")), line]))
}

/**
 * Writes the table of figures: anew from a whole run, or the rows of what was measured and the others as they are. Times are
 * milliseconds, memory megabytes.
 */
export function writeFigures(outcomes: readonly Outcome[], { whole }: { whole: boolean }): void {
  const text = readFileSync(path, "utf8")
  const [before = "", rest = ""] = text.split(begin)
  const [table = "", after = ""] = rest.split(end)
  const rows = whole ? new Map<string, string>() : rowsOf(table)
  for (const outcome of outcomes) rows.set(outcome.promise, row(outcome))
  const machine = `${cpus().length} cores (${cpus()[0]?.model ?? "unknown"}), Linux ${release()}, ${new Date().toISOString().slice(0, 10)}`
  writeFileSync(
    path,
    `${before}${begin}\n\nMachine: ${machine}.\n\n${head}\n${[...rows.values()].join("\n")}\n\n${end}${after}`,
  )
}
