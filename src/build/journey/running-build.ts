// One build from its first line to its release: what it holds, what it tells, and how it ends.
import { newId } from "../../base/ids.ts"
import type { Hold } from "../../images/images.ts"
import type { BuildHistory, BuildRequest } from "../build.ts"
import { readEpoch } from "../export/attributes.ts"
import type { ExportableStep } from "../export/export.ts"
import { BuildFailure } from "../failure.ts"
import type { History } from "../history.ts"
import type { StepRun } from "../operations/operations.ts"
import type { ReportBuild } from "../progress.ts"
import { newRunId } from "../solver/steps.ts"

export interface RunningBuild {
  readonly id: string
  readonly request: BuildRequest
  readonly startedAt: number
  readonly epoch: number | undefined
  readonly hold: Hold
  /** This build's own function: what it began is known by it. */
  readonly report: ReportBuild
  readonly signal: AbortSignal
  run(vertex: string): StepRun
  /** Called when the build is over, last first. */
  defer(release: () => void): void
  readonly counts: { steps: number; cached: number }
  steps: readonly ExportableStep[]
  /** Writes how it ended into history, once. */
  complete(outcome: { readonly error?: unknown; readonly imageId?: string }): void
  /** Lets everything go. */
  release(): void
}

const contextText = ({ context }: BuildRequest): string => {
  switch (context.type) {
    case "directory":
      return context.path
    case "remote":
      return context.url
    case "image":
      return context.reference
    case "synced":
      return context.name
    default:
      return ""
  }
}

const attributesOf = (request: BuildRequest): Record<string, string> => ({
  ...(request.target === "" ? {} : { target: request.target }),
  ...(request.noCache ? { "no-cache": "" } : {}),
  ...Object.fromEntries([...request.labels].map(([key, value]) => [`label:${key}`, value])),
})

export const beginBuild = (
  request: BuildRequest,
  parts: {
    readonly history: History
    readonly running: Map<string, AbortController>
    readonly hold: Hold
    readonly tell: ReportBuild
    readonly signal: AbortSignal
    /** Whether history tells of it: questions about a Dockerfile are no builds. */
    readonly isRemembered: boolean
    /** Resolves when everything that this build began for others, too, has ended. */
    readonly settled: (report: ReportBuild) => Promise<void>
  },
): RunningBuild => {
  const id = request.id ?? newId()
  const controller = new AbortController()
  const signal = AbortSignal.any([parts.signal, controller.signal])
  const deferred: (() => void)[] = []
  const report: ReportBuild = (event) => parts.tell(event)
  const counts = { steps: 0, cached: 0 }
  // Build arguments are not among what is remembered: people put secrets there.
  const begun: BuildHistory = {
    id,
    startedAt: Date.now(),
    endedAt: 0,
    target: request.target,
    error: "",
    dockerfilePath: request.dockerfilePath ?? "Dockerfile",
    context: contextText(request),
    imageId: "",
    steps: 0,
    cachedSteps: 0,
    attributes: attributesOf(request),
  }
  const epoch = readEpoch(new Map(), request)
  parts.running.set(id, controller)
  if (parts.isRemembered) parts.history.begin(begun)
  let isComplete = false
  let isReleased = false

  const build: RunningBuild = {
    ...{ id, request, startedAt: begun.startedAt, epoch, hold: parts.hold, report, signal, counts },
    steps: [],
    run: (vertex) => ({
      ...{ id: newRunId(), request, report, signal, vertex, hold: parts.hold },
      ...(epoch === undefined ? {} : { epoch }),
    }),
    defer: (release) => {
      deferred.push(release)
    },
    complete({ error, imageId = "" }) {
      if (isComplete || !parts.isRemembered) return
      isComplete = true
      const text = error === undefined ? "" : error instanceof Error ? error.message : String(error)
      parts.history.complete({
        ...begun,
        ...{ endedAt: Date.now(), error: text, imageId, steps: counts.steps, cachedSteps: counts.cached },
      })
    },
    release() {
      if (isReleased) return
      isReleased = true
      build.complete({})
      if (parts.running.get(id) === controller) parts.running.delete(id)
      void parts.settled(report).then(() => {
        for (const release of deferred.reverse()) release()
        parts.hold.release()
      })
    },
  }
  return build
}

/** A failure that also knows the Dockerfile. */
export const withSource = (error: unknown, file: string, source: Uint8Array | undefined): unknown =>
  error instanceof BuildFailure && source !== undefined
    ? new BuildFailure(error.kind, error.message, { file, source, ...error.detail }, { cause: error.cause })
    : error
