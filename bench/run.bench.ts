// `docker run --rm busybox true` with the same client, three networks, against dockerd; podman with its own client.
import { alternate, command, median } from "./harness/measure.ts"
import { podmanLimits } from "./harness/peers.ts"
import type { Bench, Contenders, Outcome } from "./harness/promise.ts"

const promises = { bridge: 9, none: 7, host: 5 } as const

async function compare(
  network: keyof typeof promises,
  { sloop, docker, podman, rounds }: Contenders,
): Promise<Outcome> {
  const work =
    (client: readonly string[], more: readonly string[] = []) =>
    () =>
      command([...client, "run", "--rm", ...more, "--network", network, "busybox", "true"])
  const raw = await alternate(
    {
      sloop: work(sloop.client),
      ...(docker ? { docker: work(docker.client) } : {}),
      ...(podman ? { podman: work(podman.client, podmanLimits) } : {}),
    },
    rounds,
  )
  const figures = Object.fromEntries(Object.entries(raw).map(([name, samples]) => [name, median(samples)]))
  return {
    promise: `docker run --rm --network ${network} busybox true: times faster than dockerd`,
    measured: (figures.docker ?? 0) / (figures.sloop ?? 1),
    unit: "×",
    limit: promises[network],
    better: "higher",
    figures,
    raw,
  }
}

export const bench: Bench = {
  name: "run",
  async run(contenders) {
    const outcomes: Outcome[] = []
    for (const network of ["bridge", "none", "host"] as const)
      outcomes.push(await compare(network, contenders))
    return outcomes
  },
}
