// sloop attach
import { failure } from "../../../base/errors.ts"
import { followSize, forwardSignals, joinStreams } from "../../container/streams.ts"
import type { Verb } from "../../verb.ts"

interface Inspected {
  Id: string
  State: { Running: boolean; Paused: boolean; Restarting: boolean; ExitCode: number }
  Config: { Tty: boolean; OpenStdin: boolean }
}

export const verb: Verb = {
  usage: "[OPTIONS] CONTAINER",
  summary: "Attach local standard input, output, and error streams to a running container",
  flags: [
    {
      name: "detach-keys",
      kind: "string",
      value: "string",
      summary: "Override the key sequence for detaching a container",
    },
    { name: "no-stdin", kind: "bool", summary: "Do not attach STDIN" },
    { name: "sig-proxy", kind: "bool", default: true, summary: "Proxy all received signals to the process" },
  ],
  interspersed: true,
  least: 1,
  most: 1,
  async run(context, parsed) {
    const { client } = context
    const path = `/containers/${encodeURIComponent(parsed.arguments[0] ?? "")}`
    const { Id, State, Config } = await client.json<Inspected>("GET", `${path}/json`)
    if (!State.Running) throw failure("conflict", "You cannot attach to a stopped container, start it first")
    if (State.Paused) throw failure("conflict", "You cannot attach to a paused container, unpause it first")
    if (State.Restarting)
      throw failure("conflict", "You cannot attach to a restarting container, wait until it is running")
    const stdin = Config.OpenStdin && !parsed.bool("no-stdin")
    const query = {
      stream: true,
      stdin,
      stdout: true,
      stderr: true,
      detachKeys: parsed.string("detach-keys"),
    }
    const { socket } = await client.hijack(`${path}/attach`, { query })
    const joined = joinStreams(context, socket, { tty: Config.Tty, stdin })
    const stopSizing = Config.Tty ? followSize(context, client, path, { redraw: true }) : () => undefined
    const stopForwarding = parsed.bool("sig-proxy") ? forwardSignals(client, Id) : () => undefined
    await joined.ended
    joined.restore()
    stopSizing()
    stopForwarding()
    const after = await client.json<Inspected>("GET", `${path}/json`)
    if (!after.State.Running) return after.State.ExitCode
    if (!stdin) return 0
    context.warn("read escape sequence")
    return 1
  },
}
