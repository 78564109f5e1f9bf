// Verbs over several names: each is acted on, failures are told one by one, the exit code is 1 if any failed.
import { failure } from "../base/errors.ts"
import { readStandardInput } from "./input.ts"
import { told } from "./told.ts"
import type { Context } from "./verb.ts"

/** Acts on each name in order (or all at once) and prints the name, or the text that `act` gives instead; null prints nothing. */
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
      if (line !== null) context.print(typeof line === "string" ? line : name)
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
  for await (const chunk of readStandardInput()) {
    answer += chunk
    if (answer.includes("\n")) break
  }
  return /^y(es)?$/i.test((answer.split("\n")[0] ?? "").trim())
}

/** Throws invalid for a filter that is not NAME=VALUE. */
export function filterPair(value: string): void {
  if (!value.includes("=")) throw failure("invalid", "bad format of filter (expected name=value)")
}

/** `--filter a=b` values as the API's filters parameter; undefined when there are none. */
export function readFilters(values: readonly string[]): Record<string, string[]> | undefined {
  const filters: Record<string, string[]> = {}
  for (const value of values) {
    const [name = "", ...rest] = value.split("=")
    const key = name.trim().toLowerCase()
    filters[key] = [...(filters[key] ?? []), rest.join("=").trim()]
  }
  return values.length > 0 ? filters : undefined
}
