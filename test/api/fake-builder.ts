// A builder without a kernel: plays what a test wrote down for it, and remembers what it was asked.
import { failure } from "../../src/base/errors.ts"
import type {
  BuildEvent,
  Builder,
  BuildHistory,
  BuildRequest,
  CacheUsage,
  ExportedBuild,
  ExportOptions,
} from "../../src/build/build.ts"

export const BUILT_ID = `sha256:${"5a".repeat(32)}`

type Play = (
  request: BuildRequest,
  options: ExportOptions,
  report: (event: BuildEvent) => void,
  signal: AbortSignal,
) => Promise<ExportedBuild>

export interface FakeBuilder extends Builder {
  readonly requests: BuildRequest[]
  readonly pruned: unknown[]
}

const builtNothing: Play = async () => ({
  response: new Map([["containerimage.digest", BUILT_ID]]),
  imageId: BUILT_ID,
})

/** `play` is the whole of a build. */
export function createFakeBuilder(
  play: Play = builtNothing,
  more: { usage?: readonly CacheUsage[]; history?: readonly BuildHistory[] } = {},
): FakeBuilder {
  const requests: BuildRequest[] = []
  const pruned: unknown[] = []
  const running = new Map<string, AbortController>()
  return {
    requests,
    pruned,
    solve: async () => {
      throw failure("not-implemented", "the fake builder only builds")
    },
    call: async (_request, what) => ({
      text: `${what}ed\n`,
      json: { what },
      statusCode: what === "check" ? 1 : 0,
    }),
    export: async () => {
      throw failure("not-implemented", "the fake builder only builds")
    },
    async build(request, options, report, signal) {
      requests.push(request)
      const controller = new AbortController()
      const id = request.id ?? ""
      running.set(id, controller)
      try {
        return await play(request, options, report, AbortSignal.any([signal, controller.signal]))
      } finally {
        running.delete(id)
      }
    },
    cancel(id) {
      const found = running.get(id)
      found?.abort(failure("cancelled", "the build was cancelled"))
      return found !== undefined
    },
    usage: async () => more.usage ?? [],
    async prune(filter) {
      pruned.push(filter)
      return { removed: (more.usage ?? []).map(({ id }) => id), reclaimed: 42 }
    },
    trim: async () => 0,
    history: () => more.history ?? [],
    forget: () => {},
    onHistory: () => () => {},
    recover: async () => {},
    close: async () => {},
  }
}
