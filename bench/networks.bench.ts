// Networks: runs with a published port and on a network of one's own against dockerd; the API's verbs in milliseconds.
import { EngineHttp } from "./harness/http.ts"
import { alternate, command, median } from "./harness/measure.ts"
import type { Bench, Contenders, Outcome } from "./harness/promise.ts"

const NETWORK = "bench-net"

async function compare(
  what: string,
  flags: readonly string[],
  { sloop, docker, rounds }: Contenders,
): Promise<Outcome> {
  const work = (client: readonly string[]) => () =>
    command([...client, "run", "--rm", ...flags, "busybox", "true"])
  const raw = await alternate(
    { sloop: work(sloop.client), ...(docker ? { docker: work(docker.client) } : {}) },
    rounds,
  )
  const figures = Object.fromEntries(Object.entries(raw).map(([name, samples]) => [name, median(samples)]))
  return {
    promise: `docker run --rm ${what} busybox true: times faster than dockerd`,
    measured: (figures.docker ?? 0) / (figures.sloop ?? 1),
    unit: "×",
    limit: 7,
    better: "higher",
    figures,
    raw,
  }
}

/** Most milliseconds that each verb may take, as a client on a kept connection sees it. */
const limits = { create: 15, connect: 10, disconnect: 10, remove: 15 } as const
type Verb = keyof typeof limits

async function verbTimes({ sloop, rounds }: Contenders): Promise<Outcome[]> {
  const http = new EngineHttp(sloop.socket)
  const raw: Record<Verb, number[]> = { create: [], connect: [], disconnect: [], remove: [] }
  const timed = async (verb: Verb, method: string, path: string, body?: unknown): Promise<void> => {
    const since = performance.now()
    const { status, text } = await http.call(method, path, body)
    raw[verb].push(performance.now() - since)
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text}`)
  }
  const container = "bench-guest"
  const begin = ["run", "-d", "--name", container, "busybox", "sleep", "100000"]
  await command([...sloop.client, ...begin])
  try {
    for (let round = 0; round <= rounds; round++) {
      const name = `bench-${round}`
      await timed("create", "POST", "/networks/create", { Name: name })
      await timed("connect", "POST", `/networks/${name}/connect`, { Container: container })
      await timed("disconnect", "POST", `/networks/${name}/disconnect`, { Container: container })
      await timed("remove", "DELETE", `/networks/${name}`)
      // The first round warms up.
      if (round === 0) for (const samples of Object.values(raw)) samples.length = 0
    }
  } finally {
    http.close()
    await command([...sloop.client, "rm", "-f", container])
  }
  return (Object.keys(limits) as Verb[]).map((verb) => ({
    promise: `network ${verb}, by the API on a kept connection`,
    measured: median(raw[verb]),
    unit: "ms",
    limit: limits[verb],
    better: "lower",
    figures: { worst: Math.max(...raw[verb]) },
    raw: { [verb]: raw[verb] },
  }))
}

export const bench: Bench = {
  name: "networks",
  async run(contenders) {
    const peers = [contenders.sloop, ...(contenders.docker ? [contenders.docker] : [])]
    for (const { client } of peers) await command([...client, "network", "create", NETWORK])
    try {
      return [
        await compare("-p 127.0.0.1::80", ["-p", "127.0.0.1::80"], contenders),
        await compare("--network of one's own", ["--network", NETWORK], contenders),
        ...(await verbTimes(contenders)),
      ]
    } finally {
      for (const { client } of peers) await command([...client, "network", "rm", NETWORK])
    }
  },
}
