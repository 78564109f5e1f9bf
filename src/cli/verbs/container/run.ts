// sloop run: create, attach, wait, start; the container's exit code is ours.
import { failure } from "../../../base/errors.ts"
import { createContainer } from "../../container/create.ts"
import { runFlags } from "../../container/flags.ts"
import { attachedStreams } from "../../container/request.ts"
import { followSize, forwardSignals, type Joined, joinStreams } from "../../container/streams.ts"
import type { Parsed } from "../../flags.ts"
import type { Context, Verb } from "../../verb.ts"

interface Waited {
  StatusCode: number
  Error?: { Message: string }
}

async function runAttached(context: Context, parsed: Parsed, id: string): Promise<number> {
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
  const { socket } = await client.hijack(`/containers/${id}/attach`, { query })
  const condition = parsed.bool("rm") ? "removed" : "next-exit"
  // Asked before the start, so that the shortest life is not missed.
  const waiting = await client.send("POST", `/containers/${id}/wait`, { query: { condition } })
  let joined: Joined | undefined
  const stopForwarding = parsed.bool("sig-proxy") && !tty ? forwardSignals(client, id) : () => undefined
  let stopSizing: () => void = () => undefined
  try {
    joined = joinStreams(context, socket, { tty, stdin: streams.stdin })
    await client.call("POST", `/containers/${id}/start`)
    if (tty) stopSizing = followSize(context, client, `/containers/${id}`)
    return await endOf(context, id, joined, waiting.body)
  } catch (error) {
    socket.destroy()
    waiting.body.destroy()
    throw error
  } finally {
    joined?.restore()
    stopForwarding()
    stopSizing()
  }
}

/** The exit code once streams and process have both ended; a detached client leaves with 0. */
async function endOf(
  context: Context,
  id: string,
  joined: Joined,
  waiting: AsyncIterable<Uint8Array>,
): Promise<number> {
  const { readText } = await import("../../../client/client.ts")
  const exit = readText(waiting).then((text) => JSON.parse(text) as Waited)
  exit.catch(() => undefined)
  await joined.ended
  const soon = new Promise<undefined>((resolve) => setTimeout(resolve, 200, undefined))
  const waited =
    (await Promise.race([exit, soon])) ?? ((await stillRuns(context, id)) ? undefined : await exit)
  if (!waited) return 0
  if (waited.Error?.Message) throw failure("internal", waited.Error.Message)
  return waited.StatusCode
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
    if (parsed.bool("tty") && parsed.bool("interactive") && !detach && !context.stdin.isTTY)
      throw failure("invalid", "the input device is not a TTY")
    const id = await createContainer(context, parsed, detach)
    if (!detach) return runAttached(context, parsed, id)
    await context.client.call("POST", `/containers/${id}/start`)
    context.print(id)
    return 0
  },
}
