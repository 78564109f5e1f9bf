// Save, load and removal of an image of many files, beside dockerd.
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { hasDockerRegistry, startRegistry } from "../test/fixtures/docker-registry.ts"
import { command, median } from "./harness/measure.ts"
import { baseImage, type Peer } from "./harness/peers.ts"
import type { Bench, Contenders, Outcome } from "./harness/promise.ts"
import { packBase, putTravelling, travellingImage } from "./harness/travelling-images.ts"

const verbs = { load: 3, save: 2, rmi: 10 } as const
type Verb = keyof typeof verbs
type Samples = Record<Verb, Record<string, number[]>>

/** Loads, saves and removes the archive's image once. */
const measureOnce = async (peer: Peer, name: string, archive: string, samples: Samples): Promise<void> => {
  const again = `${archive}.${peer.name}`
  const timed = async (verb: Verb, ...words: readonly string[]) => {
    const since = performance.now()
    await command([...peer.client, verb, ...words])
    const known = samples[verb][peer.name] ?? []
    samples[verb][peer.name] = [...known, performance.now() - since]
  }
  await timed("load", "-q", "-i", archive)
  await timed("save", "-o", again, name)
  rmSync(again)
  await timed("rmi", "-f", name)
}

export const bench: Bench = {
  name: "archives",
  async run({ sloop, docker, rounds }: Contenders) {
    if (!hasDockerRegistry()) throw new Error("the bench of archives needs Debian's docker-registry")
    const registry = await startRegistry()
    const directory = mkdtempSync(join(tmpdir(), "sloop-archives-"))
    const samples: Samples = { load: {}, save: {}, rmi: {} }
    try {
      const image = await travellingImage("many files", "gzip")
      await putTravelling(registry.origin, "archived", "1", image, await packBase(baseImage))
      const name = `${registry.host}/archived:1`
      const archive = join(directory, "image.tar")
      await command([...sloop.client, "pull", "-q", name])
      await command([...sloop.client, "save", "-o", archive, name])
      await command([...sloop.client, "rmi", "-f", name])
      // dockerd takes half a minute for each.
      const times = rounds > 10 ? 2 : 1
      for (let round = 0; round < times; round++)
        for (const peer of docker === undefined ? [sloop] : [sloop, docker])
          await measureOnce(peer, name, archive, samples)
    } finally {
      rmSync(directory, { recursive: true, force: true })
      await registry.close()
    }
    return Object.entries(verbs).flatMap(([verb, limit]): Outcome[] => {
      const raw = samples[verb as Verb]
      const figures = Object.fromEntries(Object.entries(raw).map(([peer, taken]) => [peer, median(taken)]))
      if (figures.docker === undefined || figures.sloop === undefined) return []
      const measured = figures.docker / figures.sloop
      const promise = `${verb} of many files: times faster than dockerd`
      return [{ promise, measured, unit: "×", limit, better: "higher", figures, raw }]
    })
  },
}
