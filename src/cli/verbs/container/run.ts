// sloop run: create, attach, wait, start; the container's exit code is ours.
import { failure } from "../../../base/errors.ts"
import { readText } from "../../../client/client.ts"
import { createContainer } from "../../container/create.ts"
import { runFlags } from "../../container/flags.ts"
import { attachedStreams } from "../../container/request.ts"
import { followSize, forwardSignals, type Joined, joinStreams } from "../../container/streams.ts"
import type { Timing } from "../../container/timing.ts"
import type { Parsed } from "../../flags.ts"
import type { Context, Verb } from "../../verb.ts"

interface Waited {
  StatusCode: number
  Error?: { Message: string }
}

async function runAttached(
  context: Context,
  parsed: Parsed,
  id: string,
  timing: Timing | undefined,
): Promise<number> {
  const { client } = context
  const tty = parsed.bool("tty")
  const streams = attachedStreams(parsed, false)
  const query = {
    stream: true,
    stdin: streams.stdin,
    stdout: streams.stdout,
    stderr: streams.stderr,
    detachKeys: parsed.string("detach-keys"),
  }
  const condition = parsed.bool("rm") ? "removed" : "next-exit"
  // Both are asked before the start, so that neither output nor the shortest life is missed.
  const [{ socket }, waiting] = await Promise.all([
    client.hijack(`/containers/${id}/attach`, { query }),
    client.send("POST", `/containers/${id}/wait`, { query: { condition } }),
  ])
  timing?.mark("attach")
  const exit = readText(waiting.body).then((text) => JSON.parse(text) as Waited)
  exit.catch(() => undefined)
  let joined: Joined | undefined
  const starting = client.call("POST", `/containers/${id}/start`)
  // Done while it starts, when our time costs nothing.
  const stopForwarding = parsed.bool("sig-proxy") ? forwardSignals(client, id) : () => undefined
  let stopSizing: () => void = () => undefined
  try {
    await starting
    timing?.mark("start")
    joined = joinStreams(timing?.watch(context) ?? context, socket, { tty, stdin: streams.stdin })
    if (tty) stopSizing = followSize(context, client, `/containers/${id}`)
    return await endOf(context, id, joined, exit)
  } finally {
    joined?.restore()
    stopForwarding()
    stopSizing()
  }
}

/** The exit code once streams and process have both ended; a detached client leaves with 0. */
async function endOf(context: Context, id: string, joined: Joined, exit: Promise<Waited>): Promise<number> {
  await joined.ended
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, 200, undefined)
  })
  const soon = await Promise.race([exit, late])
  clearTimeout(timer)
  if (!soon && (await stillRuns(context, id))) return 0
  const { Error: problem, StatusCode } = soon ?? (await exit)
  if (problem?.Message) throw failure("internal", problem.Message)
  return StatusCode
}

async function stillRuns(context: Context, id: string): Promise<boolean> {
  try {
    const { State } = await context.client.json<{ State: { Running: boolean } }>(
      "GET",
      `/containers/${id}/json`,
    )
    return State.Running
  } catch {
    return false // removed, so it has ended
  }
}

export const verb: Verb = {
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  summary: "Create and run a new container from an image",
  flags: runFlags,
  interspersed: false,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  async run(context, parsed) {
    const detach = parsed.bool("detach")
    const wrong =
      parsed.bool("tty") && parsed.bool("interactive") && !detach && !context.stdin.isTTY
        ? "the input device is not a TTY"
        : detach && parsed.list("attach").length > 0
          ? "conflicting options: cannot specify both --attach and --detach"
          : undefined
    if (wrong) {
      context.warn(wrong)
      return 1
    }
    const timing = parsed.bool("timing")
      ? (await import("../../container/timing.ts")).startTiming()
      : undefined
    const id = await createContainer(context, parsed, detach)
    timing?.mark("create")
    if (!detach) {
      const code = await runAttached(context, parsed, id, timing)
      timing?.mark("exit")
      timing?.tell(context)
      return code
    }
    await context.client.call("POST", `/containers/${id}/start`)
    timing?.mark("start")
    context.print(id)
    timing?.tell(context)
    return 0
  },
}
