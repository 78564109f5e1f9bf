// Inside the daemon: from create request to exit known, bridge network, with a warm pool and without one; at the pace of
// tests, which start the next container when the last has ended, and at a person's, where every cache has grown cold.
import { buildCaller, Caller } from "./harness/caller.ts"
import { EngineHttp } from "./harness/http.ts"
import { median } from "./harness/measure.ts"
import { startSloop } from "./harness/peers.ts"
import type { Bench } from "./harness/promise.ts"

/** Milliseconds of rest before each container: until the pool has its next namespace, and between two commands of a person's. */
const paces = { "one after the other": 10, "after a rest of 60 ms": 60 } as const
const limits = { warm: 5, cold: 8 } as const
const engines = ["warm", "cold"] as const

export const bench: Bench = {
  name: "inside",
  async run({ sloop, rounds }) {
    const cold = await startSloop("cold", ["--network-pool-size", "0"])
    const sockets = { warm: sloop.socket, cold: cold.socket }
    const { program, remove } = buildCaller()
    const runs = { condition: "next-exit", body: { Image: "busybox", Cmd: ["true"] } } as const
    const callers = {
      warm: new Caller(program, sockets.warm, runs),
      cold: new Caller(program, sockets.cold, runs),
    }
    const samples = new Map<string, number[]>()
    // Each round is a few runs in a row of one engine at one pace; the first of them is not counted.
    for (let round = 0; round <= rounds; round++)
      for (const [pace, rest] of Object.entries(paces))
        for (const engine of engines)
          for (let run = 0; run < 4; run++) {
            const took = await callers[engine].run(rest)
            const key = `${engine}, ${pace}`
            if (round > 0 && run > 0) samples.set(key, [...(samples.get(key) ?? []), took])
          }
    for (const engine of engines) {
      callers[engine].close()
      const http = new EngineHttp(sockets[engine])
      await http.call("POST", "/containers/prune")
      http.close()
    }
    remove()
    await cold.close()
    return Object.keys(paces).flatMap((pace) =>
      engines.map((engine) => {
        const raw = samples.get(`${engine}, ${pace}`) ?? []
        const measured = median(raw)
        return {
          promise: `create request to exit known, bridge network, ${engine === "warm" ? "warm pool" : "cold"}, ${pace}`,
          measured,
          unit: "ms",
          limit: limits[engine],
          better: "lower" as const,
          figures: { [engine]: measured },
          raw: { [engine]: raw },
        }
      }),
    )
  },
}
