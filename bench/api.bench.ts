// The API under many: lists and inspects of 500 containers, 200 clients that follow one log, events to 200 listeners.
import { readFileSync } from "node:fs"
import { connect, type Socket } from "node:net"
import { EngineHttp } from "./harness/http.ts"
import { alternate, command, median, together } from "./harness/measure.ts"
import { type Peer, sloopBinary } from "./harness/peers.ts"
import type { Bench, Outcome } from "./harness/promise.ts"

const MANY = 500
const CLIENTS = 200
const LINES = 5000
/** After so many milliseconds without a request the daemon gives back what a burst left behind. */
const IDLE = 25_000

const resident = (peer: Peer): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${peer.pids()[0]}/status`, "utf8"))?.[1] ?? 0) / 1024

async function timed(http: EngineHttp, path: string, rounds: number): Promise<number[]> {
  const samples: number[] = []
  for (let round = 0; round < rounds + 5; round++) {
    const since = performance.now()
    const { status } = await http.call("GET", path)
    if (status !== 200) throw new Error(`${path}: ${status}`)
    // The first are the compiler's.
    if (round >= 5) samples.push(performance.now() - since)
  }
  return samples
}

async function lists(socket: string, rounds: number): Promise<Outcome[]> {
  const http = new EngineHttp(socket)
  const ids: string[] = []
  await together(MANY, 8, async (index) => {
    const { text } = await http.call("POST", `/containers/create?name=api-${index}`, {
      Image: "busybox",
      Cmd: ["sleep", "3600"],
      Labels: { bench: "api", index: String(index) },
      HostConfig: { PortBindings: { "80/tcp": [{ HostPort: "" }] } },
    })
    ids.push((JSON.parse(text) as { Id: string }).Id)
  })
  const list = await timed(http, "/containers/json?all=1", rounds * 5)
  const inspect = await timed(http, `/containers/${ids[250]}/json`, rounds * 20)
  const { ps = [] } = await alternate(
    { ps: () => command([sloopBinary, "-H", `unix://${socket}`, "ps", "-a"]) },
    rounds * 2,
  )
  await together(MANY, 8, async (index) => {
    await http.call("DELETE", `/containers/${ids[index]}`)
  })
  http.close()
  const outcome = (promise: string, raw: number[], limit: number): Outcome => ({
    promise,
    measured: median(raw),
    unit: "ms",
    limit,
    better: "lower",
    figures: { sloop: median(raw) },
    raw: { sloop: raw },
  })
  return [
    outcome("GET /containers/json with 500 containers", list, 5),
    outcome("GET /containers/{id}/json among 500 containers", inspect, 1),
    outcome("sloop ps -a with 500 containers, the whole process", ps, 60),
  ]
}

/** A streamed GET; `lines` counts what `counts` finds in each piece. */
function stream(
  socket: string,
  path: string,
  wanted: number,
): { socket: Socket; ready: Promise<void>; done: Promise<number> } {
  const client = connect(socket)
  let lines = 0
  const ready = Promise.withResolvers<void>()
  const done = Promise.withResolvers<number>()
  client.on("data", (chunk: Buffer) => {
    ready.resolve()
    for (let at = chunk.indexOf("tick"); at >= 0; at = chunk.indexOf("tick", at + 1)) lines++
    if (lines >= wanted) done.resolve(lines)
  })
  client.on("error", (error) => done.reject(error))
  client.on("close", () => done.resolve(lines))
  client.write(`GET ${path} HTTP/1.1\r\nHost: d\r\n\r\n`)
  return { socket: client, ready: ready.promise, done: done.promise }
}

/** Clients that follow one log while it is written: lines that did not arrive, and the daemon's growth in MB. */
async function followers(peer: Peer & { socket: string }): Promise<Outcome[]> {
  const http = new EngineHttp(peer.socket)
  const script = `read go; i=0; while [ $i -lt ${LINES} ]; do i=$((i+1)); echo "tick $i"; done; sleep 60`
  const name = "api-writer"
  await command([...peer.client, "create", "-i", "--name", name, "busybox", "sh", "-c", script])
  await command([...peer.client, "start", name])
  const before = resident(peer)
  const path = `/containers/${name}/logs?follow=1&stdout=1`
  const clients = Array.from({ length: CLIENTS }, () => stream(peer.socket, path, LINES))
  await Promise.all(clients.map(({ ready }) => ready))
  const since = performance.now()
  const input = connect(peer.socket)
  input.write(
    `POST /containers/${name}/attach?stream=1&stdin=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\ngo\n`,
  )
  const late = setTimeout(() => {
    for (const { socket } of clients) socket.destroy()
  }, 60_000)
  const got = await Promise.all(clients.map(({ done }) => done))
  clearTimeout(late)
  const took = performance.now() - since
  const peak = resident(peer) - before
  input.destroy()
  for (const { socket } of clients) socket.destroy()
  await command([...peer.client, "rm", "-f", name])
  http.close()
  await new Promise((resolve) => setTimeout(resolve, IDLE))
  const grown = resident(peer) - before
  const missing = got.reduce((sum, lines) => sum + Math.max(0, LINES - lines), 0)
  const figures = { "milliseconds for all": took, "lines a second": (LINES * CLIENTS * 1000) / took }
  return [
    {
      promise: `lines that 200 clients following one log of ${LINES} lines lose`,
      measured: missing,
      unit: "lines",
      limit: 0,
      better: "lower",
      figures,
      raw: { sloop: got },
    },
    {
      promise: "memory that 200 clients that followed one log leave behind",
      measured: grown,
      unit: "MB",
      limit: 16,
      better: "lower",
      figures: { sloop: grown },
      raw: { sloop: [grown] },
    },
    {
      promise: "memory that 200 clients following one log take while they do",
      measured: peak,
      unit: "MB",
      limit: 32,
      better: "lower",
      figures: { sloop: peak },
      raw: { sloop: [peak] },
    },
  ]
}

async function listeners(peer: Peer & { socket: string }, rounds: number): Promise<Outcome> {
  const http = new EngineHttp(peer.socket)
  const raw: number[] = []
  for (let round = 0; round < rounds; round++) {
    const filters = encodeURIComponent(JSON.stringify({ volume: [`tick-${round}`], event: ["create"] }))
    const clients = Array.from({ length: CLIENTS }, () =>
      stream(peer.socket, `/events?filters=${filters}`, 1),
    )
    await Promise.all(clients.map(({ ready }) => ready))
    const since = performance.now()
    await http.call("POST", "/volumes/create", { Name: `tick-${round}` })
    await Promise.all(clients.map(({ done }) => done))
    raw.push(performance.now() - since)
    for (const { socket } of clients) socket.destroy()
    await http.call("DELETE", `/volumes/tick-${round}`)
  }
  http.close()
  return {
    promise: "an event at the last of 200 listeners, from the request that caused it",
    measured: median(raw),
    unit: "ms",
    limit: 20,
    better: "lower",
    figures: { sloop: median(raw) },
    raw: { sloop: raw },
  }
}

export const bench: Bench = {
  name: "api",
  async run({ sloop, rounds }) {
    return [
      ...(await lists(sloop.socket, rounds)),
      ...(await followers(sloop)),
      await listeners(sloop, rounds),
    ]
  },
}
