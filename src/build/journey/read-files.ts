// What a build reads before it knows anything: its Dockerfile and the ignore file that goes with it.
import { createHash } from "node:crypto"
import { posix } from "node:path"
import { errorMessage } from "../../base/errors.ts"
import type { Platform } from "../../oci/platform.ts"
import type { BuildRequest } from "../build.ts"
import { BuildFailure, placed } from "../failure.ts"
import type { ReportBuild } from "../progress.ts"
import type { BuildContexts } from "./contexts.ts"

export interface ReadFiles {
  readonly dockerfile: Uint8Array
  /** Name for messages: "Dockerfile". */
  readonly file: string
  readonly ignore: readonly string[]
}

const digestOf = (text: string): string => `sha256:${createHash("sha256").update(text).digest("hex")}`

/** Tells of reading one thing as a vertex, with the bytes that came. */
const reading = async <T>(
  name: string,
  id: string,
  report: ReportBuild,
  work: () => Promise<{ readonly result: T; readonly bytes: number }>,
): Promise<T> => {
  const digest = digestOf(name)
  const startedAt = Date.now()
  const vertex = { digest, inputs: [], name, cached: false, error: "", startedAt }
  report({ type: "vertex", vertex })
  try {
    const { result, bytes } = await work()
    const completedAt = Date.now()
    const at = { at: completedAt, startedAt, completedAt }
    report({ type: "status", vertex: digest, id, current: bytes, total: 0, ...at })
    report({ type: "vertex", vertex: { ...vertex, completedAt } })
    return result
  } catch (error) {
    report({ type: "vertex", vertex: { ...vertex, completedAt: Date.now(), error: errorMessage(error) } })
    throw placed(error, { vertex: digest })
  }
}

/** Paths beneath a context, as clients write them. */
const contextPath = (path: string): string => posix.join("/", path).slice(1)

/**
 * Reads both. The ignore file of the Dockerfile's own name ("x.dockerignore" beside it) comes before .dockerignore of the
 * context. Throws BuildFailure (invalid) when there is no Dockerfile.
 */
export const readFiles = async (
  request: BuildRequest,
  contexts: BuildContexts,
  platform: Platform,
  readIgnore: (bytes: Uint8Array) => readonly string[],
  report: ReportBuild,
): Promise<ReadFiles> => {
  const path = request.dockerfilePath || "Dockerfile"
  const home = request.dockerfileContext === undefined ? "" : "dockerfile"
  const file = posix.basename(path)

  const find = async (): Promise<Uint8Array> => {
    if (request.dockerfile !== undefined) return request.dockerfile
    const context = await contexts.open(home, platform)
    const found =
      (await context.readFile(contextPath(path))) ??
      (path === "Dockerfile" ? await context.readFile("dockerfile") : undefined)
    if (found === undefined)
      throw new BuildFailure(
        "invalid",
        `failed to read dockerfile: open ${file}: no such file or directory`,
        {},
      )
    return found
  }
  const dockerfile = await reading(
    `[internal] load build definition from ${file}`,
    "transferring dockerfile:",
    report,
    async () => {
      const result = await find()
      return { result, bytes: result.length }
    },
  )
  const findIgnore = async (): Promise<Uint8Array | undefined> => {
    // A Dockerfile that came by itself has nothing beside it.
    if (request.dockerfile === undefined || home !== "") {
      const beside = await (await contexts.open(home, platform)).readFile(`${contextPath(path)}.dockerignore`)
      if (beside !== undefined) return beside
    }
    const { type } = request.context
    if (type === "empty" || type === "image") return undefined
    return (await contexts.open("", platform)).readFile(".dockerignore")
  }
  const ignore = await reading("[internal] load .dockerignore", "transferring context:", report, async () => {
    const bytes = await findIgnore()
    return { result: bytes === undefined ? [] : readIgnore(bytes), bytes: bytes?.length ?? 2 }
  })
  return { dockerfile, file, ignore }
}
