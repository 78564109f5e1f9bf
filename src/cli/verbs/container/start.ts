// sloop start

import { errorKind, failure } from "../../../base/errors.ts"
import { followSize, forwardSignals, joinStreams } from "../../container/streams.ts"
import { forEach } from "../../each.ts"
import type { Parsed } from "../../flags.ts"
import type { Context, Verb } from "../../verb.ts"

interface Inspected {
  Id: string
  State: { Running: boolean; ExitCode: number }
  Config: { Tty: boolean; OpenStdin: boolean }
}

async function startAttached(context: Context, parsed: Parsed): Promise<number> {
  const { client } = context
  if (parsed.arguments.length > 1)
    throw failure("invalid", "you cannot start and attach multiple containers at once")
  const path = `/containers/${encodeURIComponent(parsed.arguments[0] ?? "")}`
  const { Id, Config } = await client.json<Inspected>("GET", `${path}/json`)
  const stdin = parsed.bool("interactive") && Config.OpenStdin
  const query = { stream: true, stdin, stdout: true, stderr: true, detachKeys: parsed.string("detach-keys") }
  const { socket } = await client.hijack(`${path}/attach`, { query })
  const joined = joinStreams(context, socket, { tty: Config.Tty, stdin })
  const stopForwarding = parsed.bool("sig-proxy") ? forwardSignals(client, Id) : () => undefined
  await client.call("POST", `${path}/start`)
  const stopSizing = Config.Tty ? followSize(context, client, path) : () => undefined
  await joined.ended
  joined.restore()
  stopSizing()
  stopForwarding()
  const { State } = await client.json<Inspected>("GET", `${path}/json`)
  return State.Running ? 0 : State.ExitCode
}

async function startAll(context: Context, names: readonly string[]): Promise<number> {
  const failed: string[] = []
  await forEach(context, names, async (name) => {
    try {
      await context.client.call("POST", `/containers/${encodeURIComponent(name)}/start`)
    } catch (error) {
      // Starting what runs is fine, as docker has it.
      if (errorKind(error) === "not-modified") return
      failed.push(name)
      throw error
    }
  })
  if (failed.length > 0) context.warn(`Error: failed to start containers: ${failed.join(", ")}`)
  return failed.length > 0 ? 1 : 0
}

export const verb: Verb = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Start one or more stopped containers",
  flags: [
    { name: "attach", short: "a", kind: "bool", summary: "Attach STDOUT/STDERR and forward signals" },
    {
      name: "sig-proxy",
      kind: "bool",
      default: true,
      summary: "Proxy received signals to the process",
      hidden: true,
    },
    { name: "interactive", short: "i", kind: "bool", summary: "Attach container's STDIN" },
    {
      name: "detach-keys",
      kind: "string",
      value: "string",
      summary: "Override the key sequence for detaching a container",
    },
  ],
  interspersed: true,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run(context, parsed) {
    if (parsed.bool("attach") || parsed.bool("interactive")) return startAttached(context, parsed)
    return startAll(context, parsed.arguments)
  },
}
