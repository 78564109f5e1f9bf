// Inspect verbs: JSON arrays with four spaces, or a template per object; missing names are told at the end.
import { errorMessage } from "../../base/errors.ts"
import type { Flag } from "../flags.ts"
import { compileTemplate } from "../template/template.ts"
import { told } from "../told.ts"
import type { Context } from "../verb.ts"

export const formatFlag: Flag = {
  name: "format",
  short: "f",
  kind: "string",
  value: "string",
  summary: "Format output using a custom template: 'json' or a Go template",
}

/** Prints each name's object and resolves to the exit code. */
export async function printInspected(
  context: Context,
  names: readonly string[],
  format: string | undefined,
  get: (name: string) => Promise<unknown>,
): Promise<number> {
  let render: ((value: unknown) => string) | undefined
  try {
    if (format && format !== "json") render = compileTemplate(format)
  } catch (error) {
    context.warn(`template parsing error: ${errorMessage(error)}`)
    return 64
  }
  const found: unknown[] = []
  const problems: string[] = []
  for (const name of names) {
    try {
      found.push(await get(name))
    } catch (error) {
      problems.push(told(error))
    }
  }
  if (!format) context.print(found.length === 0 ? "[]" : JSON.stringify(found, null, 4))
  else if (!render) context.print(JSON.stringify(found))
  else if (!printRendered(context, found, render)) return 1
  for (const problem of problems) context.warn(problem)
  return problems.length > 0 ? 1 : 0
}

function printRendered(
  context: Context,
  found: readonly unknown[],
  render: (value: unknown) => string,
): boolean {
  if (found.length === 0) context.print("")
  for (const value of found) {
    try {
      context.print(render(value))
    } catch (error) {
      context.print("")
      context.warn(`template parsing error: ${errorMessage(error)}`)
      return false
    }
  }
  return true
}

/** Prints one object by a template or as JSON, as version and info do. */
export function printFormatted(context: Context, value: unknown, format: string): number {
  if (format === "json") {
    context.print(JSON.stringify(value))
    return 0
  }
  let render: (value: unknown) => string
  try {
    render = compileTemplate(format)
  } catch (error) {
    context.warn(`template parsing error: ${errorMessage(error)}`)
    return 64
  }
  try {
    context.print(render(value))
    return 0
  } catch (error) {
    context.print("")
    context.warn(errorMessage(error))
    return 1
  }
}
