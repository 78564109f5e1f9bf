// Published ports: a thousand at once, throughput and latency through them, against dockerd.
import { setTimeout as sleep } from "node:timers/promises"
import { alternate, command, median } from "./harness/measure.ts"
import type { Peer } from "./harness/peers.ts"
import type { Bench, Contenders, Outcome } from "./harness/promise.ts"
import { nginx, onHost, output, trafficTools } from "./harness/traffic-tools.ts"

const IMAGE = "traffic-tools"
const SECONDS = "1"
const MANY = 1000
/** dockerd takes minutes for a thousand: it gets a tenth. */
const FEW = 100

/** What publishing adds to the time of a run, per engine. */
async function manyPorts({ sloop, docker, rounds }: Contenders): Promise<Outcome> {
  const work = (client: readonly string[], count: number) => () =>
    command([
      ...client,
      "run",
      "--rm",
      ...(count > 0 ? ["-p", `127.0.0.1:31000-${31000 + count - 1}:31000-${31000 + count - 1}`] : []),
      "busybox",
      "true",
    ])
  const raw = await alternate(
    { with: work(sloop.client, MANY), without: work(sloop.client, 0) },
    Math.min(rounds, 7),
  )
  const rawDocker = docker
    ? await alternate({ docker100: work(docker.client, FEW), dockerNone: work(docker.client, 0) }, 1)
    : {}
  const all = { ...raw, ...rawDocker }
  const figures = Object.fromEntries(Object.entries(all).map(([name, samples]) => [name, median(samples)]))
  return {
    promise: "1,000 published ports on one container: what they add to its run",
    measured: (figures.with ?? 0) - (figures.without ?? 0),
    unit: "ms",
    limit: 100,
    better: "lower",
    figures,
    raw: all,
  }
}

interface Served {
  readonly peer: Peer
  readonly nginxPort: string
  readonly iperfPort: string
  readonly iperfAddress: string
  close(): Promise<void>
}

const publishedAt = async (peer: Peer, container: string, port: number): Promise<string> =>
  /:(\d+)\s/.exec(`${await output(...peer.client, "port", container, `${port}/tcp`)} `)?.[1] ?? ""

async function serve(peer: Peer, archive: string): Promise<Served> {
  await command([...peer.client, "import", archive, IMAGE])
  const [web, flow] = ["bench-nginx", "bench-iperf"]
  await command([...peer.client, "run", "-d", "--name", web, "-p", "127.0.0.1::80", IMAGE, ...nginx])
  await command([...peer.client, "run", "-d", "--name", flow, "-p", "127.0.0.1::5201", IMAGE, "iperf3", "-s"])
  // iperf3 takes a connection that asks whether it listens for its only client: it is given time.
  await sleep(1000)
  return {
    peer,
    nginxPort: await publishedAt(peer, web, 80),
    iperfPort: await publishedAt(peer, flow, 5201),
    iperfAddress: (
      await output(...peer.client, "inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", flow)
    ).trim(),
    close: () => command([...peer.client, "rm", "-f", web, flow]),
  }
}

const gigabits = (json: string): number =>
  (JSON.parse(json) as { end: { sum_received: { bits_per_second: number } } }).end.sum_received
    .bits_per_second / 1e9

const fromHost = async ({ iperfPort }: Served): Promise<number> =>
  gigabits(await onHost("iperf3", "-c", "127.0.0.1", "-p", iperfPort, "-t", SECONDS, "-J"))
const betweenContainers = async ({ peer, iperfAddress }: Served): Promise<number> =>
  gigabits(
    await output(...peer.client, "run", "--rm", IMAGE, "iperf3", "-c", iperfAddress, "-t", SECONDS, "-J"),
  )

const UNITS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000 }
/** Median milliseconds of a request on 127.0.0.1. */
const latency = async ({ nginxPort }: Served): Promise<number> => {
  const text = await onHost(
    "wrk",
    "-t1",
    "-c4",
    `-d${SECONDS}s`,
    "--latency",
    `http://127.0.0.1:${nginxPort}/`,
  )
  const [, value = "0", unit = "ms"] = /50%\s+([\d.]+)(us|ms|s)/.exec(text) ?? []
  return Number(value) * (UNITS[unit] ?? 1)
}

async function against(
  served: Readonly<Record<string, Served>>,
  rounds: number,
  measure: (one: Served) => Promise<number>,
): Promise<Pick<Outcome, "raw" | "figures">> {
  const raw: Record<string, number[]> = {}
  for (let round = 0; round < rounds; round++)
    for (const [name, one] of Object.entries(served)) {
      raw[name] ??= []
      raw[name]?.push(await measure(one))
    }
  return {
    raw,
    figures: Object.fromEntries(Object.entries(raw).map(([name, samples]) => [name, median(samples)])),
  }
}

async function traffic({ sloop, docker, rounds }: Contenders, archive: string): Promise<Outcome[]> {
  const served: Record<string, Served> = { sloop: await serve(sloop, archive) }
  if (docker) served.docker = await serve(docker, archive)
  const few = Math.min(rounds, 5)
  const outcome = async (
    promise: string,
    better: Outcome["better"],
    measure: (one: Served) => Promise<number>,
  ): Promise<Outcome> => {
    const { raw, figures } = await against(served, few, measure)
    return {
      promise,
      measured: (figures.sloop ?? 0) / (figures.docker ?? 1),
      unit: "×",
      limit: 1,
      better,
      figures,
      raw,
    }
  }
  try {
    return [
      await outcome(
        "throughput through a published port from this host (iperf3), share of dockerd's",
        "higher",
        fromHost,
      ),
      await outcome(
        "throughput between containers (iperf3), share of dockerd's",
        "higher",
        betweenContainers,
      ),
      await outcome(
        "latency through a published port on 127.0.0.1 (wrk, nginx), share of dockerd's",
        "lower",
        latency,
      ),
    ]
  } finally {
    for (const one of Object.values(served)) await one.close()
  }
}

export const bench: Bench = {
  name: "ports",
  async run(contenders) {
    const outcomes = [await manyPorts(contenders)]
    const archive = trafficTools()
    if (!archive)
      console.log("mmdebstrap cannot make an image of Debian's iperf3, wrk and nginx: no traffic.")
    else outcomes.push(...(await traffic(contenders, archive)))
    return outcomes
  },
}
