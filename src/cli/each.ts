// Verbs over several names: each is acted on, failures are told one by one, the exit code is 1 if any failed.
import { failure } from "../base/errors.ts"
import { told } from "./told.ts"
import type { Context } from "./verb.ts"

/** Acts on each name in order (or all at once) and prints the name, or what `act` gives instead. */
export async function forEach(
  context: Context,
  names: readonly string[],
  act: (name: string) => Promise<unknown>,
  options: { together?: boolean } = {},
): Promise<number> {
  let code = 0
  const one = async (name: string) => {
    try {
      const line = await act(name)
      context.print(typeof line === "string" ? line : name)
    } catch (error) {
      context.warn(told(error))
      code = 1
    }
  }
  if (options.together) await Promise.all(names.map(one))
  else for (const name of names) await one(name)
  return code
}

/** Asks a yes/no question unless forced; the end of input is a no. */
export async function confirm(context: Context, question: string, force: boolean): Promise<boolean> {
  if (force) return true
  await context.out.write(`${question} [y/N] `)
  let answer = ""
  for await (const chunk of context.stdin) {
    answer += chunk
    if (answer.includes("\n")) break
  }
  return /^y(es)?$/i.test((answer.split("\n")[0] ?? "").trim())
}

/** `--filter a=b` values as the API's filters parameter. Throws invalid. */
export function readFilters(values: readonly string[]): Record<string, string[]> | undefined {
  const filters: Record<string, string[]> = {}
  for (const value of values) {
    const equals = value.indexOf("=")
    if (equals < 0)
      throw failure(
        "invalid",
        `invalid argument "${value}" for "-f, --filter" flag: bad format of filter (expected name=value)`,
      )
    const name = value.slice(0, equals).trim().toLowerCase()
    filters[name] = [...(filters[name] ?? []), value.slice(equals + 1).trim()]
  }
  return values.length > 0 ? filters : undefined
}
