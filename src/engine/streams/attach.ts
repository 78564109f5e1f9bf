// Attaches clients to a container's streams: the running one's own, or those of its next start.

import { failure } from "../../base/errors.ts"
import type { ContainerRecord } from "../../state/state.ts"
import { announce } from "../announce.ts"
import type { Context } from "../context.ts"
import type { Attached, AttachOptions } from "../engine.ts"
import { permit } from "../lifecycle/transitions.ts"
import type { Live, PendingAttach } from "../live.ts"
import { logPath } from "../places.ts"
import { DetachScanner, parseDetachKeys } from "./detach-keys.ts"
import { LateStream, type LateStreamOptions } from "./late-stream.ts"

/** A frame of Docker's multiplexed stream. */
const multiplexed = (stream: "stdout" | "stderr", bytes: Uint8Array): Uint8Array => {
  const frame = Buffer.allocUnsafe(8 + bytes.length)
  frame.fill(0, 0, 4)
  frame[0] = stream === "stdout" ? 1 : 2
  frame.writeUInt32BE(bytes.length, 4)
  frame.set(bytes, 8)
  return frame
}

/** Writes the log so far to the client. Resolves when all of it is taken or the client is gone. */
const replay = async (
  context: Context,
  record: ContainerRecord,
  stream: LateStream,
  options: AttachOptions,
): Promise<void> => {
  const entries = context.logs.read(logPath(context, record.id), {
    stdout: options.stdout,
    stderr: options.stderr,
    follow: false,
  })
  for await (const together of entries) {
    for (const entry of together) {
      if (stream.destroyed) return
      const chunk = record.config.tty ? entry.line : multiplexed(entry.stream, entry.line)
      if (!stream.prepend(chunk)) await stream.taken()
    }
  }
}

const detachable = (context: Context, record: ContainerRecord, keys: readonly number[]): LateStreamOptions =>
  record.config.tty && keys.length > 0
    ? {
        scanner: new DetachScanner(keys),
        onDetach: () => announce(context, record, "detach"),
      }
    : {}

const connectLate = async (
  context: Context,
  record: ContainerRecord,
  live: Live,
  stream: LateStream,
  options: AttachOptions,
  streams: PendingAttach["streams"],
): Promise<void> => {
  if (options.logs) await replay(context, record, stream, options)
  const { task } = live
  if (!options.stream || task === undefined) {
    stream.finish()
    return
  }
  try {
    stream.connect(await task.attach(streams))
  } catch {
    // It ended meanwhile.
    stream.finish()
  }
}

/** The attach verb. Throws invalid (keys), conflict (paused, restarting). */
export const attachContainer = async (
  context: Context,
  reference: string,
  options: AttachOptions,
): Promise<Attached> => {
  const record = context.catalogue.get(reference)
  permit("attach", record)
  const keys = parseDetachKeys(options.detachKeys)
  const { tty, openStdin } = record.config
  const live = context.live.of(record.id)
  const streams = { stdin: options.stdin && openStdin, stdout: options.stdout, stderr: options.stderr }
  const published = () => announce(context, record, "attach")

  if (live.task !== undefined) {
    const scanned = detachable(context, record, keys)
    // The monitor's own socket wherever nothing has to be looked at on the way.
    if (options.stream && !options.logs && (scanned.scanner === undefined || !streams.stdin)) {
      try {
        const stream = await live.task.attach(streams)
        published()
        return { tty, stream }
      } catch (cause) {
        if (live.task !== undefined)
          throw failure("unavailable", `cannot attach to ${record.name}`, { cause })
      }
    }
    const stream = new LateStream(scanned)
    published()
    context.background.run("attaching", () => connectLate(context, record, live, stream, options, streams))
    return { tty, stream }
  }
  const waiting: { attach?: PendingAttach } = {}
  const stream = new LateStream({
    ...detachable(context, record, keys),
    onClose: () => {
      if (waiting.attach !== undefined) live.pending.delete(waiting.attach)
    },
  })
  published()
  if (!options.stream) {
    context.background.run("attaching", () => connectLate(context, record, live, stream, options, streams))
    return { tty, stream }
  }
  if (options.logs) await replay(context, record, stream, options)
  waiting.attach = { stream, streams }
  live.pending.add(waiting.attach)
  return { tty, stream }
}
