// What stop and restart share: their flags, and that an act which changes nothing is no failure.
import { errorKind } from "../../base/errors.ts"
import { forEach } from "../each.ts"
import type { Flag, Parsed } from "../flags.ts"
import type { Context } from "../verb.ts"

export const stoppingFlags: readonly Flag[] = [
  {
    name: "signal",
    short: "s",
    kind: "string",
    value: "string",
    summary: "Signal to send to the container",
  },
  {
    name: "timeout",
    short: "t",
    kind: "int",
    value: "int",
    summary: "Seconds to wait before killing the container",
  },
  {
    name: "time",
    kind: "int",
    value: "int",
    summary: "Seconds to wait before killing the container",
    hidden: true,
  },
]

/** Acts on all named containers at once and resolves to the exit code. */
export function stopEach(context: Context, parsed: Parsed, act: "stop" | "restart"): Promise<number> {
  const query = { signal: parsed.string("signal"), t: parsed.int("timeout") ?? parsed.int("time") }
  const one = async (name: string) => {
    try {
      await context.client.call("POST", `/containers/${encodeURIComponent(name)}/${act}`, { query })
    } catch (error) {
      if (errorKind(error) !== "not-modified") throw error
    }
  }
  return forEach(context, parsed.arguments, one, { together: true })
}
