// Inspect verbs: JSON arrays with four spaces, or a template per object; missing names are told at the end.
import { errorMessage } from "../../base/errors.ts"
import type { Flag } from "../flags.ts"
import { compileTemplate } from "../template/template.ts"
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
  const found: unknown[] = []
  const problems: string[] = []
  for (const name of names) {
    try {
      found.push(await get(name))
    } catch (error) {
      problems.push(errorMessage(error))
    }
  }
  if (format === undefined) context.print(JSON.stringify(found, null, 4))
  else if (format === "json") context.print(JSON.stringify(found))
  else {
    const render = compileTemplate(format)
    for (const value of found) context.print(render(value))
  }
  for (const problem of problems) context.warn(`Error response from daemon: ${problem}`)
  return problems.length > 0 ? 1 : 0
}
