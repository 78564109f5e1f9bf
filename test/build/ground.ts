// A whole engine within the test's process: builds from directories are asked of its builder, as the faces ask.
import { createReadStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import type { BuildEvent, Builder, BuildRequest, ExportOptions } from "../../src/build/build.ts"
import { plainBuild } from "../../src/build/testing/plain-build.ts"
import { type Composed, compose } from "../../src/daemon/compose.ts"
import { configure } from "../../src/daemon/configuration.ts"
import { baseImage } from "../fixtures/base-image.ts"
import { testLauncher } from "../fixtures/launcher-kernel.ts"

export interface Built {
  readonly imageId: string
  readonly response: ReadonlyMap<string, string>
  readonly events: readonly BuildEvent[]
  /** Names of the steps that were run, and of those that came from the cache. */
  readonly ran: readonly string[]
  readonly cached: readonly string[]
  /** Output of all steps. */
  readonly output: string
  readonly milliseconds: number
}

export interface BuildOptions extends Partial<BuildRequest> {
  readonly name?: string
  readonly exports?: Partial<ExportOptions>
  readonly signal?: AbortSignal
  readonly report?: (event: BuildEvent) => void
}

export interface BuildGround {
  readonly root: string
  readonly composed: () => Composed
  readonly builder: () => Builder
  /** Makes a directory with these files ("Dockerfile" among them). */
  context(files: Readonly<Record<string, string | Uint8Array>>): string
  build(directory: string, more?: BuildOptions): Promise<Built>
  /** A file of what a directory builds, as text. */
  read(directory: string, path: string, more?: Partial<BuildRequest>): Promise<string>
  request(directory: string): BuildRequest
  /** Closes the engine and opens another over the same directories. */
  reopen(): Promise<void>
  close(): Promise<void>
}

export const requestOf = (directory: string): BuildRequest =>
  plainBuild({ context: { type: "directory", path: directory } })

/** A file's text. */
export const lines = (...text: readonly string[]): string => `${text.join("\n")}\n`

export const exportsOf = (name?: string): ExportOptions => ({
  exports: [{ type: "image", attributes: new Map(name === undefined ? [] : [["name", name]]) }],
  ...{ cacheTo: [], attestations: new Map(), squash: false },
  credentials: async () => undefined,
})

export const startBuildGround = async (flags: readonly string[] = []): Promise<BuildGround> => {
  const root = mkdtempSync("/tmp/slb-")
  for (const name of ["data", "run", "work"]) mkdirSync(join(root, name), { mode: 0o700 })
  const open = () =>
    compose(
      configure([
        ...["--data-root", join(root, "data"), "--run-root", join(root, "run")],
        ...["--launcher", testLauncher(), "--log-level", "error", ...flags],
      ]),
    )
  let composed = await open()
  await composed.engine.images.import(createReadStream(baseImage), {
    reference: "busybox:latest",
    changes: ["ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 'CMD ["sh"]'],
  })
  let count = 0

  return {
    root,
    composed: () => composed,
    builder: () => composed.builder,
    context(files) {
      const directory = join(root, "work", String(++count))
      mkdirSync(directory)
      for (const [name, content] of Object.entries(files)) {
        mkdirSync(dirname(join(directory, name)), { recursive: true })
        writeFileSync(join(directory, name), content)
      }
      return directory
    },
    async build(directory, { name, exports, signal, report, ...more } = {}) {
      const events: BuildEvent[] = []
      const started = performance.now()
      const { imageId = "", response } = await composed.builder.build(
        { ...requestOf(directory), ...more },
        { ...exportsOf(name), ...exports },
        (event) => {
          events.push(event)
          report?.(event)
        },
        signal ?? new AbortController().signal,
      )
      const ended = events.flatMap((event) =>
        event.type === "vertex" && event.vertex.completedAt !== undefined ? [event.vertex] : [],
      )
      const steps = ended.filter(({ name: step }) => /^\[(?!internal)/.test(step))
      const log = events.flatMap((event) => (event.type === "log" ? [Buffer.from(event.bytes)] : []))
      return {
        ...{ imageId, response, events, milliseconds: performance.now() - started },
        ran: steps.filter(({ cached }) => !cached).map((vertex) => vertex.name),
        cached: steps.filter(({ cached }) => cached).map((vertex) => vertex.name),
        output: Buffer.concat(log).toString("utf8"),
      }
    },
    async read(directory, path, more = {}) {
      const request = { ...requestOf(directory), ...more }
      const solved = await composed.builder.solve(request, () => {}, new AbortController().signal)
      try {
        const [image] = solved.images
        if (image === undefined) throw new Error("the build has no result")
        return Buffer.from(await solved.readFile(image, path)).toString("utf8")
      } finally {
        solved.release()
      }
    },
    request: requestOf,
    async reopen() {
      await composed.close({ stopContainers: true })
      composed = await open()
    },
    async close() {
      await composed.close({ stopContainers: true })
      rmSync(root, { recursive: true, force: true })
    },
  }
}
