// Builds that were and builds that run, as `docker buildx history` asks for them.
import { failure } from "../../../base/errors.ts"
import type { Builder, BuildHistory } from "../../../build/build.ts"
import type {
  HistoryEvent,
  HistoryRecord,
  HistoryRequest,
  UpdateHistoryRequest,
} from "../../../wire/buildkit/control.ts"
import type { Decoded, Given } from "../../../wire/buildkit/protobuf.ts"
import type { ServerCall } from "../grpc/server.ts"
import { CODE } from "../grpc/status.ts"
import type { Jobs } from "../solve/job.ts"
import { timestamp } from "../timestamp.ts"

const EVENT = { started: 0, complete: 1, deleted: 2 } as const

type Kind = keyof typeof EVENT

const historyRecord = (record: BuildHistory): Given<Decoded<typeof HistoryRecord>> => ({
  ref: record.id,
  frontend: "dockerfile.v0",
  frontendAttributes: new Map(Object.entries(record.attributes)),
  exporters: [{ type: "image", attributes: new Map() }],
  error:
    record.error === ""
      ? undefined
      : { code: record.error === "context canceled" ? CODE.cancelled : CODE.unknown, message: record.error },
  createdAt: timestamp(record.startedAt),
  completedAt: record.endedAt === 0 ? undefined : timestamp(record.endedAt),
  exporterResponse:
    record.imageId === "" ? new Map() : new Map([["containerimage.config.digest", record.imageId]]),
  cachedSteps: record.cachedSteps,
  totalSteps: record.steps,
  completedSteps: record.endedAt === 0 ? 0 : record.steps,
})

/** Tells of the records that are there, newest first, then of events until the client goes or asked for no more. */
export async function listenHistory(
  builder: Builder,
  request: Decoded<typeof HistoryRequest>,
  call: ServerCall<unknown, Decoded<typeof HistoryEvent>>,
): Promise<void> {
  const { ref, activeOnly, earlyExit, limit } = request
  // Clients measure builds that run by our clock.
  call.begin({ "buildkit-current-timestamp": new Date().toISOString() })
  const wanted = (record: BuildHistory) => ref === "" || record.id === ref
  const queue: { kind: Kind; record: BuildHistory }[] = []
  let wake = () => {}
  const stop = builder.onHistory((event) => {
    if (wanted(event.record)) queue.push(event)
    wake()
  })
  const awaken = () => wake()
  call.signal.addEventListener("abort", awaken)
  try {
    const all = builder
      .history()
      .filter((record) => wanted(record) && (!activeOnly || record.endedAt === 0))
      .sort((one, other) => other.startedAt - one.startedAt)
    for (const record of limit > 0 ? all.slice(0, limit) : all)
      await tell(call, record.endedAt === 0 ? "started" : "complete", record)
    if (earlyExit) {
      if (ref !== "" && all.length === 0) throw failure("not-found", `no build history record ${ref} found`)
      return
    }
    while (!call.signal.aborted) {
      const event = queue.shift()
      if (event !== undefined) await tell(call, event.kind, event.record)
      else
        await new Promise<void>((resolve) => {
          wake = resolve
        })
    }
  } finally {
    stop()
    call.signal.removeEventListener("abort", awaken)
  }
}

const tell = (
  call: ServerCall<unknown, Decoded<typeof HistoryEvent>>,
  kind: Kind,
  record: BuildHistory,
): Promise<void> => call.send({ type: EVENT[kind], record: historyRecord(record) })

/** Throws not-found for a build that ended and whose output is gone: it is kept for the last ones, in memory. */
export function requireKept(builder: Builder, jobs: Pick<Jobs, "isKept">, ref: string): void {
  if (jobs.isKept(ref)) return
  if (builder.history().some(({ id, endedAt }) => id === ref && endedAt !== 0))
    throw failure("not-found", `the output of the build ${ref} is not kept any more`)
}

export function updateHistory(
  builder: Builder,
  { ref, delete: isDeleted, pinned }: Decoded<typeof UpdateHistoryRequest>,
): Record<string, never> {
  if (pinned) throw failure("not-implemented", "records of history cannot be pinned here")
  if (!builder.history().some(({ id }) => id === ref))
    throw failure("not-found", `failed to find build history record ${ref}`)
  if (isDeleted) builder.forget(ref)
  return {}
}
