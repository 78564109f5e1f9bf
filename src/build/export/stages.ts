// An export as progress shows it: one vertex, with a line for each thing that it does.
import { digestOf } from "../../base/digest-stream.ts"
import { errorMessage } from "../../base/errors.ts"
import type { ReportBuild } from "../progress.ts"

/** Tells of bytes that are done. */
export type Tell = (current: number, total: number) => void

export interface Stages {
  /** Runs work under a line of its own: "exporting layers", "naming to docker.io/library/app:latest". */
  step<T>(id: string, work: (tell: Tell) => Promise<T>): Promise<T>
  /** A sentence for people. */
  say(line: string): void
}

/** Milliseconds between two reports of the same line. */
const interval = 100

/** Runs `work` as the vertex `name`; `seed` makes its digest this build's own. */
export const inStages = async <T>(
  name: string,
  seed: string,
  report: ReportBuild,
  work: (stages: Stages) => Promise<T>,
): Promise<T> => {
  const vertex = digestOf(Buffer.from(JSON.stringify(["export", name, seed])))
  const startedAt = Date.now()
  const told = { digest: vertex, inputs: [], name, startedAt, cached: false }
  report({ type: "vertex", vertex: { ...told, error: "" } })
  const stages: Stages = {
    async step(id, done) {
      const begun = Date.now()
      let last = 0
      let size = { current: 0, total: 0 }
      const status = (completedAt?: number) =>
        report({
          type: "status",
          ...{ vertex, id, ...size, at: Date.now(), startedAt: begun },
          ...(completedAt === undefined ? {} : { completedAt }),
        })
      status()
      const result = await done((current, total) => {
        size = { current, total }
        if (Date.now() - last < interval) return
        last = Date.now()
        status()
      })
      status(Date.now())
      return result
    },
    say(line) {
      report({ type: "log", vertex, stream: 2, bytes: Buffer.from(`${line}\n`), at: Date.now() })
    },
  }
  try {
    const result = await work(stages)
    report({ type: "vertex", vertex: { ...told, completedAt: Date.now(), error: "" } })
    return result
  } catch (error) {
    report({ type: "vertex", vertex: { ...told, completedAt: Date.now(), error: errorMessage(error) } })
    throw error
  }
}

/** Passes bytes on, telling how many of `total` (0 = unknown) went by, until the signal says to stop. */
export async function* told(
  source: AsyncIterable<Uint8Array>,
  total: number,
  tell: Tell,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let bytes = 0
  for await (const chunk of source) {
    signal.throwIfAborted()
    bytes += chunk.length
    tell(bytes, total)
    yield chunk
  }
}
