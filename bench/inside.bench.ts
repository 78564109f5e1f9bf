// Inside the daemon: from create request to exit known, bridge network, with a warm pool and without one.
import { EngineHttp } from "./harness/http.ts"
import { alternate, median } from "./harness/measure.ts"
import { startSloop } from "./harness/peers.ts"
import type { Bench } from "./harness/promise.ts"

const pause = () => new Promise((resolve) => setTimeout(resolve, 60))

export const bench: Bench = {
  name: "inside",
  async run({ sloop, rounds }) {
    const cold = await startSloop("cold", ["--network-pool-size", "0"])
    const warmHttp = new EngineHttp(sloop.socket)
    const coldHttp = new EngineHttp(cold.socket)
    // The pause is outside what is counted: it lets the pool refill, as between a person's commands.
    const timed = async (http: EngineHttp, samples: number[]) => {
      await pause()
      const since = performance.now()
      await http.runToEnd({ HostConfig: {} })
      samples.push(performance.now() - since)
    }
    const raw: Record<string, number[]> = { warm: [], cold: [] }
    await alternate(
      { warm: () => timed(warmHttp, raw.warm ?? []), cold: () => timed(coldHttp, raw.cold ?? []) },
      rounds * 3,
    )
    for (const http of [warmHttp, coldHttp]) await http.call("POST", "/containers/prune")
    warmHttp.close()
    coldHttp.close()
    await cold.close()
    const warm = median(raw.warm ?? [])
    const coldMedian = median(raw.cold ?? [])
    const figures = { warm, cold: coldMedian }
    return [
      {
        promise: "create request to exit known, bridge network, warm pool",
        measured: warm,
        unit: "ms",
        limit: 5,
        better: "lower",
        figures,
        raw,
      },
      {
        promise: "create request to exit known, bridge network, cold",
        measured: coldMedian,
        unit: "ms",
        limit: 8,
        better: "lower",
        figures,
        raw,
      },
    ]
  },
}
