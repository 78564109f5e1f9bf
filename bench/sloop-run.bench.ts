// `sloop run --rm busybox true`, the whole process.
import { alternate, command, median } from "./harness/measure.ts"
import { sloopBinary } from "./harness/peers.ts"
import type { Bench } from "./harness/promise.ts"

export const bench: Bench = {
  name: "sloop-run",
  async run({ sloop, rounds }) {
    const work = () =>
      command([sloopBinary, "-H", `unix://${sloop.socket}`, "run", "--rm", "busybox", "true"])
    const raw = await alternate({ sloop: work }, rounds)
    const measured = median(raw.sloop ?? [])
    return [
      {
        promise: "sloop run --rm busybox true, the whole process",
        measured,
        unit: "ms",
        limit: 30,
        better: "lower",
        figures: { sloop: measured },
        raw,
      },
    ]
  },
}
