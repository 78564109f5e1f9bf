// Thirty `docker run -d`, eight at a time, against dockerd; then containers a second through the API alone.
import { buildCaller, runTogether } from "./harness/caller.ts"
import { command, median, together } from "./harness/measure.ts"
import type { Peer } from "./harness/peers.ts"
import type { Bench, Outcome } from "./harness/promise.ts"

/** A daemon that has started hundreds has compiled what it needs for that. */
const unmeasured = 3

const clear = async (peer: Peer) => {
  const names = Array.from({ length: 30 }, (_, index) => `burst-${index}`)
  await command([...peer.client, "rm", "-f", ...names])
}

async function thirty(peers: readonly Peer[], rounds: number): Promise<Outcome> {
  const raw: Record<string, number[]> = Object.fromEntries(peers.map(({ name }) => [name, []]))
  for (let round = 0; round <= rounds; round++) {
    for (const peer of peers) {
      const since = performance.now()
      await together(30, 8, (index) =>
        command([...peer.client, "run", "-d", "--name", `burst-${index}`, "busybox", "sleep", "3600"]),
      )
      if (round > 0) raw[peer.name]?.push(performance.now() - since)
      await clear(peer)
    }
  }
  const figures = Object.fromEntries(Object.entries(raw).map(([name, samples]) => [name, median(samples)]))
  return {
    promise: "thirty docker run -d, eight at a time: times faster than dockerd",
    measured: (figures.docker ?? 0) / (figures.sloop ?? 1),
    unit: "×",
    limit: 8,
    better: "higher",
    figures,
    raw,
  }
}

async function perSecond(socket: string, rounds: number): Promise<Outcome> {
  const { program, remove } = buildCaller()
  const body = { Image: "busybox", Cmd: ["true"], HostConfig: { AutoRemove: true } }
  const [width, count] = [8, 25]
  const took: number[] = []
  for (let round = 0; round < rounds + unmeasured; round++)
    took.push(await runTogether(program, socket, { condition: "removed", body }, { width, count }))
  remove()
  const raw = { sloop: took.slice(unmeasured) }
  const measured = (width * count * 1000) / median(raw.sloop)
  return {
    promise: "containers started and removed a second through the API, bridge network, eight at once",
    measured,
    unit: "/s",
    limit: 150,
    better: "higher",
    figures: { sloop: measured },
    raw,
  }
}

export const bench: Bench = {
  name: "burst",
  async run({ sloop, docker, rounds }) {
    const few = Math.max(2, Math.round(rounds / 4))
    return [await thirty([sloop, ...(docker ? [docker] : [])], few), await perSecond(sloop.socket, few)]
  },
}
