// Verbs over several names: each is acted on, failures are told one by one, the exit code is 1 if any failed.
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
