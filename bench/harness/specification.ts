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

/** Replaces the table of figures. Times are milliseconds, memory megabytes. */
export function writeFigures(outcomes: readonly Outcome[]): void {
  const text = readFileSync(path, "utf8")
  const [before = "", rest = ""] = text.split(begin)
  const after = rest.split(end)[1] ?? ""
  const machine = `${cpus().length} cores (${cpus()[0]?.model ?? "unknown"}), Linux ${release()}, ${new Date().toISOString().slice(0, 10)}`
  const head = "| promise | limit | measured | | medians |\n| --- | --- | --- | --- | --- |"
  writeFileSync(
    path,
    `${before}${begin}\n\nMachine: ${machine}.\n\n${head}\n${outcomes.map(row).join("\n")}\n\n${end}${after}`,
  )
}
