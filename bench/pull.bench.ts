// Pull and push against a registry on loopback: many files and few big ones, gzip and zstd, beside dockerd and podman.
import { createReadStream, readFileSync, writeFileSync } from "node:fs"
import { pipeline } from "node:stream/promises"
import { createGunzip } from "node:zlib"
import { hasDockerRegistry, startRegistry } from "../test/fixtures/docker-registry.ts"
import { command, median } from "./harness/measure.ts"
import { baseImage, type Peer, podmanLimits } from "./harness/peers.ts"
import type { Bench, Contenders, Outcome } from "./harness/promise.ts"
import {
  packBase,
  putTravelling,
  type TravellingImage,
  travellingImage,
} from "./harness/travelling-images.ts"

const kinds = [
  ["many files", "gzip"],
  ["many files", "zstd"],
  ["few big files", "gzip"],
] as const

/** Largest resident size of the daemon since it was last asked, in MB. */
function peakOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/status`, "utf8")
  return Number(/^VmHWM:\s+(\d+)/m.exec(text)?.[1] ?? 0) / 1024
}
const forgetPeak = (pid: number) => writeFileSync(`/proc/${pid}/clear_refs`, "5")

/** What a streaming gunzip of the same bytes takes alone in this runtime. */
async function gunzipAlone(image: TravellingImage): Promise<number> {
  const since = performance.now()
  for (const { path } of image.layers) {
    const gunzip = createGunzip({ chunkSize: 1 << 20 })
    const feeding = pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), gunzip)
    for await (const _ of gunzip);
    await feeding
  }
  return performance.now() - since
}

const insecure = (peer: Peer): readonly string[] => (peer.name === "podman" ? ["--tls-verify=false"] : [])

async function timed(work: () => Promise<unknown>): Promise<number> {
  const since = performance.now()
  await work()
  return performance.now() - since
}

/** Pull, and the image's first process to its end; the image is gone afterwards. */
async function pullAndRun(peer: Peer, name: string): Promise<number> {
  const limits = peer.name === "podman" ? podmanLimits : []
  const took = await timed(async () => {
    await command([...peer.client, "pull", "-q", ...insecure(peer), name])
    await command([...peer.client, "run", "--rm", "--network", "none", ...limits, name, "true"])
  })
  await command([...peer.client, "rmi", "-f", name])
  return took
}

async function measurePulls(
  peers: readonly Peer[],
  name: string,
  image: TravellingImage,
  rounds: number,
  sloopPid: number,
): Promise<{ raw: Record<string, number[]>; peak: number }> {
  const raw: Record<string, number[]> = {}
  let peak = 0
  const able = new Set(peers)
  for (let round = 0; round < rounds; round++) {
    for (const peer of peers) {
      if (!able.has(peer)) continue
      forgetPeak(sloopPid)
      try {
        const samples = raw[peer.name] ?? []
        samples.push(await pullAndRun(peer, name))
        raw[peer.name] = samples
      } catch (error) {
        // Older engines know no zstd.
        able.delete(peer)
        console.log(
          `${peer.name} cannot pull ${image.packing}: ${error instanceof Error ? error.message.slice(0, 200) : error}`,
        )
      }
      if (peer.name === "sloop") peak = Math.max(peak, peakOf(sloopPid))
    }
    if (image.packing === "gzip")
      raw["gunzip alone"] = [...(raw["gunzip alone"] ?? []), await gunzipAlone(image)]
  }
  return { raw, peak }
}

const mediansOf = (raw: Readonly<Record<string, readonly number[]>>): Record<string, number> =>
  Object.fromEntries(Object.entries(raw).map(([name, samples]) => [name, median(samples)]))

function pullOutcomes(image: TravellingImage, raw: Record<string, number[]>, peak: number): Outcome[] {
  const figures = mediansOf(raw)
  const { sloop = 0 } = figures
  const what = `${image.shape}, ${image.packing}`
  const faster = ["docker", "podman"]
    .filter((name) => figures[name] !== undefined)
    .map(
      (name): Outcome => ({
        promise: `pull to first process, ${what}: times faster than ${name === "docker" ? "dockerd" : name}`,
        measured: (figures[name] ?? 0) / sloop,
        unit: "×",
        limit: 4,
        better: "higher",
        figures,
        raw,
      }),
    )
  const gunzip = figures["gunzip alone"]
  const alone: Outcome[] =
    gunzip === undefined
      ? []
      : [
          {
            promise: `pull to first process, ${what}: times a gunzip of the same bytes alone`,
            measured: sloop / gunzip,
            unit: "×",
            limit: 2,
            better: "lower",
            figures,
            raw,
          },
        ]
  const memory: Outcome = {
    promise: `memory of the daemon while it pulls, ${what}`,
    measured: peak,
    unit: "MB",
    limit: 150,
    better: "lower",
    figures: { peak },
    raw: {},
  }
  return [...faster, ...alone, memory]
}

/** Pushes of an image that was pulled, each into a registry that has nothing of it. */
async function measurePush(peers: readonly Peer[], name: string): Promise<Outcome[]> {
  const raw: Record<string, number[]> = {}
  for (const peer of peers) {
    await command([...peer.client, "pull", "-q", ...insecure(peer), name])
    const registry = await startRegistry()
    try {
      const target = `${registry.host}/pushed:1`
      await command([...peer.client, "tag", name, target])
      raw[peer.name] = [await timed(() => command([...peer.client, "push", "-q", ...insecure(peer), target]))]
      await command([...peer.client, "rmi", "-f", target, name])
    } finally {
      await registry.close()
    }
  }
  const figures = mediansOf(raw)
  if (figures.docker === undefined) return []
  return [
    {
      promise: "push of many files, gzip: times faster than dockerd",
      measured: figures.docker / (figures.sloop ?? 1),
      unit: "×",
      limit: 1,
      better: "higher",
      figures,
      raw,
    },
  ]
}

export const bench: Bench = {
  name: "pull",
  async run({ sloop, docker, podman, rounds }: Contenders) {
    if (!hasDockerRegistry()) throw new Error("the bench of pulls needs Debian's docker-registry")
    const registry = await startRegistry()
    const peers: Peer[] = [sloop, ...(docker ? [docker] : []), ...(podman ? [podman] : [])]
    const outcomes: Outcome[] = []
    try {
      const base = await packBase(baseImage)
      for (const [shape, packing] of kinds) {
        const image = await travellingImage(shape, packing)
        const repository = `${shape.replaceAll(" ", "-")}-${packing}`
        await putTravelling(registry.origin, repository, "1", image, base)
        const name = `${registry.host}/${repository}:1`
        // One is enough to see a factor of four, three to see it well.
        const times = rounds > 10 ? 3 : 1
        const { raw, peak } = await measurePulls(peers, name, image, times, sloop.pids()[0] ?? 0)
        outcomes.push(...pullOutcomes(image, raw, peak))
      }
      outcomes.push(...(await measurePush(peers, `${registry.host}/many-files-gzip:1`)))
    } finally {
      await registry.close()
    }
    return outcomes
  },
}
