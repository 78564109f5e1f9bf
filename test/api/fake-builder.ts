// A builder that builds nothing: every request is remembered and answered with one image.
import type { Builder, BuildRequest, ExportOptions } from "../../src/build/build.ts"

export interface FakeBuilder extends Builder {
  /** What was asked, oldest first. */
  readonly asked: { readonly request: BuildRequest; readonly options?: ExportOptions }[]
}

const IMAGE_ID = `sha256:${"ab".repeat(32)}`

export function createFakeBuilder(): FakeBuilder {
  const asked: FakeBuilder["asked"] = []
  return {
    asked,
    async solve(request) {
      asked.push({ request })
      return {
        id: request.id ?? "build",
        request,
        images: [],
        warnings: [],
        dockerfile: new Uint8Array(),
        startedAt: 0,
        readFile: async () => new Uint8Array(),
        release: () => {},
      }
    },
    async call(request) {
      asked.push({ request })
      return { text: "Check complete, no warnings found.\n", json: {}, statusCode: 0 }
    },
    export: async () => ({ response: new Map(), imageId: IMAGE_ID }),
    async build(request, options, report) {
      asked.push({ request, options })
      const vertex = { digest: IMAGE_ID, inputs: [], name: "[1/1] FROM scratch", cached: false, error: "" }
      report({ type: "vertex", vertex: { ...vertex, startedAt: 1 } })
      report({ type: "vertex", vertex: { ...vertex, startedAt: 1, completedAt: 2 } })
      return { response: new Map([["containerimage.digest", IMAGE_ID]]), imageId: IMAGE_ID }
    },
    cancel: () => false,
    usage: async () => [],
    prune: async () => ({ removed: [], reclaimed: 0 }),
    trim: async () => 0,
    history: () => [],
    forget: () => {},
    onHistory: () => () => {},
    recover: async () => {},
    close: async () => {},
  }
}
