// Prints rows as docker does: its table, a template per row, `table TEMPLATE`, or json.
import { compileTemplate } from "../template/template.ts"
import type { Context } from "../verb.ts"

/** A row's columns by template name, each computed when asked for. */
export type Row = Readonly<Record<string, unknown>>

export interface Listing {
  /** The table's template without the word "table". */
  readonly columns: readonly string[]
  /** Template name to heading. */
  readonly headings: Readonly<Record<string, string>>
  /** What -q prints. */
  readonly quiet?: string
}

/** Aligns tab-separated lines with three spaces between columns. */
export function alignTabs(lines: readonly string[]): string[] {
  const cells = lines.map((line) => line.split("\t"))
  const widths: number[] = []
  for (const row of cells)
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, [...cell].length)
  return cells.map((row) =>
    row
      .map((cell, index) => (index === row.length - 1 ? cell : cell.padEnd((widths[index] ?? 0) + 3)))
      .join(""),
  )
}

/** Shows rows in the asked form. `format`: undefined or "table", "json", "raw" is not special, else a template. */
export function printList(
  context: Context,
  listing: Listing,
  rows: readonly Row[],
  options: { format?: string; quiet?: boolean; noHeading?: boolean },
): void {
  const { format } = options
  if (options.quiet && listing.quiet && (format === undefined || format === "table")) {
    for (const row of rows) context.print(String(row[listing.quiet]))
    return
  }
  if (format === "json") {
    for (const row of rows)
      context.print(
        JSON.stringify(
          Object.fromEntries(
            Object.entries(row).map(([key, value]) => [
              key,
              typeof value === "object" ? value : String(value),
            ]),
          ),
        ),
      )
    return
  }
  const asTable = format === undefined || /^table(\s|$)/.test(format)
  if (!asTable) {
    const render = compileTemplate(withEscapes(format))
    for (const row of rows) context.print(render(row))
    return
  }
  const own = format?.replace(/^table\s*/, "")
  const template = own ? withEscapes(own) : listing.columns.map((name) => `{{.${name}}}`).join("\t")
  const render = compileTemplate(template)
  const heading = compileTemplate(
    template.replace(/\{\{\s*(?:json|upper|lower|title|truncate)?\s*(\.\w+)[^}]*\}\}/g, "{{$1}}"),
  )(listing.headings)
  for (const line of alignTabs([...(options.noHeading ? [] : [heading]), ...rows.map(render)]))
    context.print(line)
}

const withEscapes = (template: string): string => template.replaceAll("\\t", "\t").replaceAll("\\n", "\n")
