// `docker exec` of true with the same client against dockerd; and against an engine that does nothing, which shows what
// of it is the client's own.
import { cannedExec } from "./harness/canned.ts"
import { alternate, command, median } from "./harness/measure.ts"
import type { Bench } from "./harness/promise.ts"

export const bench: Bench = {
  name: "exec",
  async run({ sloop, docker, rounds }) {
    const peers = [sloop, ...(docker ? [docker] : [])]
    for (const peer of peers)
      await command([...peer.client, "run", "-d", "--name", "bench-exec", "busybox", "sleep", "3600"])
    const canned = await cannedExec(sloop.socket, "bench-exec")
    const contenders = [...peers, { name: "the client alone", client: canned.client }]
    const raw = await alternate(
      Object.fromEntries(
        contenders.map(({ name, client }) => [
          name,
          () => command([...client, "exec", "bench-exec", "true"]),
        ]),
      ),
      rounds,
    )
    canned.close()
    for (const peer of peers) await command([...peer.client, "rm", "-f", "bench-exec"])
    const figures = Object.fromEntries(Object.entries(raw).map(([name, samples]) => [name, median(samples)]))
    return [
      {
        promise: "docker exec of true: times faster than dockerd",
        measured: (figures.docker ?? 0) / (figures.sloop ?? 1),
        unit: "×",
        limit: 4,
        better: "higher",
        figures,
        raw,
      },
    ]
  },
}
