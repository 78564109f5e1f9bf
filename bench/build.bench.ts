// Builds: a common Dockerfile beside dockerd's classic builder, the same all cached, a huge context with one changed file,
// stages that could run at once.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { alternate, command, median } from "./harness/measure.ts"
import { type Peer, sloopBinary } from "./harness/peers.ts"
import type { Bench, Contenders, Outcome } from "./harness/promise.ts"

const classic = { DOCKER_BUILDKIT: "0", DOCKER_CLI_HINTS: "0" }

/** `files` files of `size` bytes in directories of 100. */
const writeFiles = (directory: string, files: number, size: number): void => {
  const filling = Buffer.alloc(size, "0123456789abcdef\n")
  for (let at = 0; at < files; at++) {
    const folder = join(directory, "tree", `d${Math.floor(at / 100)}`)
    if (at % 100 === 0) mkdirSync(folder, { recursive: true })
    filling.write(`file ${at} `, 0)
    writeFileSync(join(folder, `f${at}`), filling)
  }
}

const eightSteps = (directory: string): void => {
  writeFiles(directory, 2000, 2048)
  const steps = Array.from({ length: 8 }, (_, at) => `RUN echo ${at} > /step-${at}`)
  writeFileSync(
    join(directory, "Dockerfile"),
    ["FROM busybox:latest", ...steps.slice(0, 4), "COPY tree /tree", ...steps.slice(4), ""].join("\n"),
  )
}

const fourStages = (directory: string): void => {
  const stages = ["a", "b", "c", "d"]
  writeFileSync(
    join(directory, "Dockerfile"),
    [
      ...stages.map((name) => `FROM busybox:latest AS ${name}\nRUN sleep 1 && echo ${name} > /${name}`),
      "FROM scratch",
      ...stages.map((name) => `COPY --from=${name} /${name} /`),
      "",
    ].join("\n"),
  )
}

const build = (peer: Peer, directory: string, ...more: readonly string[]) =>
  command([...peer.client, "build", "-q", "-t", "bench-build:1", ...more, directory], classic)

const outcome = (
  promise: string,
  limit: number,
  unit: string,
  raw: Record<string, number[]>,
  ratio: boolean,
): Outcome => {
  const figures = Object.fromEntries(Object.entries(raw).map(([name, taken]) => [name, median(taken)]))
  const own = figures.sloop ?? 0
  const measured = ratio ? (figures.docker ?? 0) / own : own
  return { promise, measured, unit, limit, better: ratio ? "higher" : "lower", figures, raw }
}

export const bench: Bench = {
  name: "build",
  async run({ sloop, docker, rounds }: Contenders) {
    const times = rounds > 10 ? 7 : 3
    const root = mkdtempSync(join(tmpdir(), "sloop-build-"))
    const own = (directory: string, ...more: readonly string[]) =>
      command([
        sloopBinary,
        ...sloop.client.slice(1),
        "build",
        "-q",
        "-t",
        "bench-build:2",
        ...more,
        directory,
      ])
    const peers = docker === undefined ? [sloop] : [sloop, docker]
    const outcomes: Outcome[] = []
    try {
      const eight = join(root, "eight")
      mkdirSync(eight)
      eightSteps(eight)
      const each = (...more: readonly string[]) =>
        Object.fromEntries(peers.map((peer) => [peer.name, () => build(peer, eight, ...more)]))
      const fresh = await alternate(
        { ...each("--no-cache"), "sloop build": () => own(eight, "--no-cache") },
        times,
      )
      const cached = await alternate({ ...each(), "sloop build": () => own(eight) }, times)
      if (docker !== undefined)
        outcomes.push(
          outcome("build of 8 RUN and 2,000 files, no cache: times faster than dockerd", 5, "×", fresh, true),
          outcome("build, all cached, same client: times faster than dockerd", 3, "×", cached, true),
        )
      outcomes.push(
        outcome(
          "sloop build, all cached, whole process",
          60,
          "ms",
          { sloop: cached["sloop build"] ?? [] },
          false,
        ),
      )

      const huge = join(root, "huge")
      mkdirSync(huge)
      writeFiles(huge, 20_000, 10_240)
      writeFileSync(join(huge, "Dockerfile"), "FROM busybox:latest\nRUN mkdir /app\nCOPY tree /app\n")
      let change = 0
      const changed = await alternate(
        {
          sloop: async () => {
            writeFileSync(join(huge, "tree", "d77", "f7777"), `changed ${change++} ${Date.now()}\n`)
            const since = performance.now()
            await own(huge)
            return performance.now() - since
          },
        },
        times,
      )
      outcomes.push(outcome("sloop build, one changed file of 20,000 (200 MB)", 300, "ms", changed, false))

      const stages = join(root, "stages")
      mkdirSync(stages)
      fourStages(stages)
      const parallel = await alternate({ sloop: () => own(stages, "--no-cache") }, 3)
      outcomes.push(outcome("four stages of sleep 1", 1300, "ms", parallel, false))
    } finally {
      rmSync(root, { recursive: true, force: true })
    }
    return outcomes
  },
}
