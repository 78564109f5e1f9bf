import { expect, test } from "bun:test"
import { alignTabs, formatList, rowJson } from "./list.ts"

const listing = {
  columns: ["ID", "Name"],
  headings: { ID: "THING ID", Name: "NAME", Label: (name: unknown) => String(name) },
  quiet: "ID",
}
const rows = [
  { ID: "1", Name: "<a>", Label: (name: unknown) => `${name}!` },
  { ID: "2", Name: "a much longer name", Label: () => "" },
]
const show = (format?: string, quiet = false) => formatList(listing, rows, { format, quiet })

test("columns are at least ten wide", () => {
  expect(alignTabs(["A\tB", "1\t2"])).toEqual(["A         B", "1         2"])
})

test("the table, its own columns, methods and functions in headings", () => {
  expect(show()).toEqual(["THING ID   NAME", "1          <a>", "2          a much longer name"])
  expect(show('table {{upper .Name}}\\t{{.Label "x"}}')).toEqual([
    "NAME                 x",
    "<A>                  x!",
    "A MUCH LONGER NAME   ",
  ])
})

test("json is in order, without methods, escaped as Go does", () => {
  expect(show("json")[0]).toBe('{"ID":"1","Name":"\\u003ca\\u003e"}')
  expect(show("{{json .}}")[0]).toBe(rowJson(rows[0] ?? {}))
  expect(show("{{json .Name}}")[0]).toBe('"<a>"')
})

test("quiet, and templates that are wrong", () => {
  expect(show(undefined, true)).toEqual(["1", "2"])
  expect(show("{{.Name}}", true)[1]).toBe("a much longer name")
  expect(() => show("{{nope}}")).toThrow(
    'failed to parse template: template: :1: function "nope" not defined',
  )
  expect(() => show("{{.Nope}}")).toThrow('failed to execute template: template: :1: executing "" at <.Nope>')
})

test("a table fits the terminal by the ends of its widest cells, ids stay whole", () => {
  const lines = ["ID\tNAME\tWHAT", `0123456789ab\t${"n".repeat(40)}\t${"w".repeat(30)}`]
  const fitted = alignTabs(lines, 10, 60)
  expect(Math.max(...fitted.map((line) => line.length))).toBeLessThanOrEqual(60)
  expect(fitted[1]).toMatch(/^0123456789ab {3}n+… {3}w+…$/)
  expect(alignTabs(lines, 10, 200)).toEqual(alignTabs(lines))
  expect(alignTabs(lines, 10, 5)[1]).toStartWith("0123456789ab ")
})
