// Prints rows as docker does: its table, a template per row, `table TEMPLATE`, or json.
import { errorMessage, failure } from "../../base/errors.ts"
import type { Flag } from "../flags.ts"
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

/** Aligns tab-separated lines: three spaces between columns, each at least `least` wide. */
export function alignTabs(lines: readonly string[], least = 10): string[] {
  const cells = lines.map((line) => line.split("\t"))
  const widths: number[] = []
  for (const row of cells)
    for (const [index, cell] of row.entries())
      widths[index] = Math.max(widths[index] ?? least, [...cell].length + 3)
  return cells.map((row) =>
    row.map((cell, index) => (index === row.length - 1 ? cell : cell.padEnd(widths[index] ?? 0))).join(""),
  )
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
  options: { format?: string; quiet?: boolean } = {},
): void {
  const lines = formatList(listing, rows, options)
  if (lines.length > 0) context.print(lines.join("\n"))
}

/** The lines that {@link printList} prints. */
export function formatList(
  listing: Listing,
  rows: readonly Row[],
  { format, quiet }: { format?: string; quiet?: boolean },
): string[] {
  const asTable = !format || /^table(\s|$)/.test(format)
  if (quiet && listing.quiet && asTable) return rows.map((row) => String(row[listing.quiet ?? ""]))
  if (format === "json") return rows.map(rowJson)
  const own = asTable ? (format ?? "").replace(/^table\s*/, "") : (format ?? "")
  const template = own ? withEscapes(own) : listing.columns.map((name) => `{{.${name}}}`).join("\t")
  const json = (value: unknown) =>
    rows.includes(value as Row) ? rowJson(value as Row) : JSON.stringify(value ?? null)
  const render = compile(template, { json })
  if (!asTable) return rows.map(render)
  const heading = compile(template, headingFunctions)(listing.headings)
  return alignTabs([heading, ...rows.map(render)])
}

const withEscapes = (template: string): string => template.replaceAll("\\t", "\t").replaceAll("\\n", "\n")
