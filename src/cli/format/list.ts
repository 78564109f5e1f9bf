// Prints rows as docker does: its table, a template per row, `table TEMPLATE`, or json.
import { errorMessage, failure } from "../../base/errors.ts"
import type { Flag } from "../flags.ts"
import { goPrint } from "../template/functions.ts"
import { compileTemplate } from "../template/template.ts"
import type { Context } from "../verb.ts"

/** A row's columns by template name; functions are methods such as `.Label "name"`. */
export type Row = Readonly<Record<string, unknown>>

export interface Listing {
  /** The table's template without the word "table". */
  readonly columns: readonly string[]
  /** Template name to heading. */
  readonly headings: Readonly<Record<string, unknown>>
  /** What -q prints. */
  readonly quiet?: string
}

export const templateFlag: Flag = {
  name: "format",
  kind: "string",
  value: "string",
  summary: "Format output using a custom template",
}

/** The columns of a thing's labels: all of them, and the method that gives one. */
export const labelColumns = (labels: Readonly<Record<string, string>> | null | undefined): Row => ({
  Labels: Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(","),
  Label: (name: unknown) => labels?.[String(name)] ?? "",
})

const ascii = /^[\x20-\x7e]*$/
const lengthOf = (text: string): number => (ascii.test(text) ? text.length : [...text].length)
const gap = 3 // spaces between columns
const narrowest = 12 // what a column keeps when a table is made to fit: a short id

/** Takes from the widest columns until the table fits, as far as it can. */
function fit(widths: number[], columns: number): void {
  let over = widths.reduce((sum, width) => sum + width, 0) - gap - columns
  while (over > 0) {
    const widest = Math.max(...widths)
    const next = Math.max(narrowest + gap, ...widths.filter((width) => width < widest))
    const most = widths.filter((width) => width === widest).length
    const step = Math.min(widest - next, Math.ceil(over / most))
    if (step <= 0) return
    for (const [at, width] of widths.entries()) if (width === widest) widths[at] = width - step
    over -= step * most
  }
}

/**
 * Aligns tab-separated lines: three spaces between columns, each at least `least` wide. With `columns`, a table that is
 * wider loses the ends of its widest cells.
 */
export const alignTabs = (lines: readonly string[], least = 10, columns = 0): string[] =>
  alignCells(
    lines.map((line) => line.split("\t")),
    least,
    columns,
  )

/** Written for hundreds of rows in a process that has just begun: plain loops, nothing made per cell. */
function alignCells(cells: readonly (readonly string[])[], least = 10, columns = 0): string[] {
  const widths: number[] = []
  for (const row of cells) {
    for (let index = 0; index < row.length; index++) {
      const length = lengthOf(row[index] ?? "") + gap
      if (length > (widths[index] ?? least - 1)) widths[index] = length
      else widths[index] ??= least
    }
  }
  const wide = columns > 0 && widths.reduce((sum, width) => sum + width, 0) - gap > columns
  if (wide) fit(widths, columns)
  return cells.map((row) => {
    let line = ""
    for (let index = 0; index < row.length; index++) {
      const width = widths[index] ?? 0
      const cell = row[index] ?? ""
      const shown =
        wide && lengthOf(cell) > width - gap ? `${[...cell].slice(0, width - gap - 1).join("")}…` : cell
      line += index === row.length - 1 ? shown : shown.padEnd(width)
    }
    return line
  })
}

const escapes: Readonly<Record<string, string>> = { "<": "\\u003c", ">": "\\u003e", "&": "\\u0026" }

/** A row as Go's encoder gives it: keys in order, no methods, HTML escaped. */
export const rowJson = (row: Row): string =>
  JSON.stringify(
    Object.fromEntries(
      Object.entries(row)
        .filter(([, value]) => typeof value !== "function")
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    ),
  ).replace(/[<>&]/g, (letter) => escapes[letter] ?? letter)

// Over the headings these functions say nothing; over rows `json .` is the whole row.
const same = (value: unknown) => value
const headingFunctions = { json: same, lower: same, upper: same, title: same, pad: same, truncate: same }

const compile = (template: string, functions?: Readonly<Record<string, (value: unknown) => unknown>>) => {
  let render: (value: unknown) => string
  try {
    render = compileTemplate(template, functions)
  } catch (error) {
    throw failure("invalid", `failed to parse template: ${errorMessage(error)}`, { cause: error })
  }
  return (value: unknown) => {
    try {
      return render(value)
    } catch (error) {
      throw failure("invalid", `failed to execute template: ${errorMessage(error)}`, { cause: error })
    }
  }
}

/** Shows rows in the asked form. `format`: undefined or "table", "json", else a template. Throws invalid for a wrong one. */
export function printList(
  context: Context,
  listing: Listing,
  rows: readonly Row[],
  options: { format?: string; quiet?: boolean; whole?: boolean } = {},
): void {
  // A template of one's own is shown as it comes out, and so is what asked for whole words.
  const fitted = options.whole || (options.format && options.format !== "table") ? 0 : context.out.columns
  const lines = formatList(listing, rows, { ...options, columns: fitted })
  if (lines.length > 0) context.print(lines.join("\n"))
}

/** The lines that {@link printList} prints. */
export function formatList(
  listing: Listing,
  rows: readonly Row[],
  { format, quiet, columns = 0 }: { format?: string; quiet?: boolean; columns?: number },
): string[] {
  const asTable = !format || /^table(\s|$)/.test(format)
  if (quiet && listing.quiet && asTable) return rows.map((row) => String(row[listing.quiet ?? ""]))
  if (format === "json") return rows.map(rowJson)
  const own = asTable ? (format ?? "").replace(/^table\s*/, "") : (format ?? "")
  if (asTable && !own) {
    const line = (row: Row) => {
      const cells = listing.columns.map((name) => goPrint(row[name]))
      // A tab within a value begins a column, as in docker's tables.
      return cells.some((cell) => cell.includes("\t")) ? cells.join("\t").split("\t") : cells
    }
    return alignCells([line(listing.headings), ...rows.map(line)], undefined, columns)
  }
  const template = withEscapes(own)
  const json = (value: unknown) =>
    rows.includes(value as Row) ? rowJson(value as Row) : JSON.stringify(value ?? null)
  const render = compile(template, { json })
  if (!asTable) return rows.map(render)
  const heading = compile(template, headingFunctions)(listing.headings)
  return alignTabs([heading, ...rows.map(render)])
}

const withEscapes = (template: string): string => template.replaceAll("\\t", "\t").replaceAll("\\n", "\n")
