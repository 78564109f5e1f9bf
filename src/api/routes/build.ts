// Classic builds: a context in, dockerd's stream of lines out; and the build cache.
import { failure } from "../../base/errors.ts"
import { newId, shortId } from "../../base/ids.ts"
import { type Builder, BuildFailure } from "../../build/build.ts"
import { familiarReference, parseReference } from "../../oci/reference.ts"
import type { BuildStreamLine, CachePruneView } from "../../wire/wire.ts"
import type { Buildkit } from "../buildkit/buildkit.ts"
import type { Call } from "../call.ts"
import type { Route } from "../route.ts"
import { receiveBytes } from "../stream/bytes.ts"
import { MOST_WAITING } from "../stream/lines.ts"
import { type ClassicBuild, classicBuild, headerAccounts, localImage } from "../translate/build.ts"
import { CACHE_FILTERS, cacheFilter } from "../translate/build-cache.ts"
import { classicFailure } from "../translate/build-failure.ts"
import { Narration, ToldBefore } from "../translate/build-narration.ts"

/** `buildkit` serves the builds of clients that ask for version 2; it is loaded by the first. */
export function buildRoutes(builder: Builder, buildkit: () => Promise<Buildkit>): Route[] {
  const toldBefore = new ToldBefore()

  async function build(call: Call): Promise<void> {
    const { query, gone } = call
    const version = query.text("version")
    if (version === "2") return (await buildkit()).buildOverSession(call)
    requireVersion(version)
    requireNoOutputs(query.text("outputs"))
    const credentials = headerAccounts(call.request.headers["x-registry-config"])
    const asked = classicBuild(query, receiveBytes(call.request), credentials)
    const lines = createLines(call, asked.quiet)
    const narration = new Narration({
      write: (text) => lines.told({ stream: text }),
      buildId: newId(),
      removes: asked.removes,
      noCache: asked.request.noCache,
      labels: asked.request.labels,
      buildArgs: asked.request.buildArgs,
      toldBefore,
    })
    try {
      const { imageId = "" } = await builder.build(
        asked.request,
        localImage(asked, credentials),
        (event) => narration.report(event),
        gone,
      )
      narration.finish(imageId)
      tellResult(lines, asked, imageId, narration.warnings)
    } catch (error) {
      narration.fail(error instanceof BuildFailure ? error.detail.vertex : undefined)
      lines.fail(error)
    } finally {
      call.request.resume()
    }
  }

  async function prune(call: Call): Promise<void> {
    const { query } = call
    const keep =
      query.whole("reserved-space") ?? query.whole("keep-storage") ?? query.whole("max-used-space") ?? 0
    const filters = query.filters(CACHE_FILTERS)
    const labelled = filters.has("label") || filters.has("label!")
    const { removed, reclaimed } = labelled
      ? { removed: [], reclaimed: 0 }
      : await builder.prune({
          ...cacheFilter(filters),
          all: query.flag("all"),
          ...(keep > 0 ? { keepBytes: keep } : {}),
        })
    call.json({
      CachesDeleted: removed.length > 0 ? [...removed] : null,
      SpaceReclaimed: reclaimed,
    } satisfies CachePruneView)
  }

  function cancel(call: Call): void {
    const id = call.query.text("id")
    if (id === "") throw failure("invalid", "build ID not provided")
    builder.cancel(id)
    call.empty(204)
  }

  const yes = { support: "yes" } as const
  return [
    { ...yes, method: "POST", path: "/build", summary: "Build an image", run: build },
    { ...yes, method: "POST", path: "/build/prune", summary: "Empty the build cache", run: prune },
    { ...yes, method: "POST", path: "/build/cancel", summary: "Cancel a build", run: cancel },
  ]
}

/** 1 is the classic builder. */
function requireVersion(version: string): void {
  if (version !== "" && version !== "1") throw failure("invalid", `invalid version "${version}"`)
}

function requireNoOutputs(outputs: string): void {
  if (outputs === "" || outputs === "null" || outputs === "[]") return
  throw failure(
    "invalid",
    "a classic build has no outputs but the image: use docker buildx or sloop build -o",
  )
}

function tellResult(
  lines: Lines,
  { quiet, tags }: ClassicBuild,
  imageId: string,
  warnings: readonly string[],
): void {
  if (quiet) {
    lines.write({ stream: `${imageId}\n` })
  } else {
    lines.write({ aux: { ID: imageId } })
    for (const warning of warnings) lines.write({ stream: `[Warning] ${warning}\n` })
    lines.write({ stream: `Successfully built ${shortId(imageId)}\n` })
    for (const tag of tags)
      lines.write({ stream: `Successfully tagged ${familiarReference(parseReference(tag))}\n` })
  }
  lines.end()
}

/** Characters that a quiet build keeps for the case that it fails. */
const MOST_HELD = 4 * 1024 * 1024

interface Lines {
  /** What a quiet build shows only when it fails. */
  told(line: BuildStreamLine): void
  write(line: BuildStreamLine): void
  /** The last line; before the first line it is thrown instead, so that it becomes the answer's status. */
  fail(error: unknown): void
  end(): void
}

function createLines(call: Call, quiet: boolean): Lines {
  let output: ReturnType<Call["stream"]> | undefined
  let held: BuildStreamLine[] = []
  let heldBytes = 0
  const write = (line: BuildStreamLine) => {
    output ??= call.stream({ "Content-Type": "application/json" })
    output.write(`${JSON.stringify(line)}\r\n`)
  }
  return {
    write,
    told(line) {
      if (quiet) {
        // Of a quiet build that fails the end is told.
        held.push(line)
        heldBytes += line.stream?.length ?? 0
        if (heldBytes > MOST_HELD) {
          held = held.slice(held.length / 2)
          heldBytes = held.reduce((sum, { stream = "" }) => sum + stream.length, 0)
        }
      } else if (output === undefined || output.writableLength <= MOST_WAITING) write(line)
    },
    fail(error) {
      for (const line of held.splice(0)) write(line)
      if (output === undefined) throw classicFailure(error).thrown
      const { message, code } = classicFailure(error)
      write({ errorDetail: { ...(code === undefined ? {} : { code }), message }, error: message })
      output.end()
    },
    end: () => void output?.end(),
  }
}
