// npm run bench: every promise of SPECIFICATION.md, measured side by side in one run; raw figures go to bench/results/.
//   npm run bench [-- --quick] [--record] [NAME…]
// A whole run writes the table of SPECIFICATION.md; --record puts in what a run of some names measured.
import { mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { cpus, release } from "node:os"
import { join } from "node:path"
import { startDocker, startPodman, startSloop } from "./harness/peers.ts"
import { type Bench, kept, type Outcome } from "./harness/promise.ts"
import { writeFigures } from "./harness/specification.ts"

const words = process.argv.slice(2)
const names = words.filter((word) => !word.startsWith("--"))
const rounds = words.includes("--quick") ? 5 : 21

const show = (value: number) => (value >= 100 ? value.toFixed(0) : value.toFixed(2))

function print(outcome: Outcome): void {
  const figures = Object.entries(outcome.figures).map(([name, value]) => `${name} ${show(value)}`)
  const sign = outcome.better === "lower" ? "≤" : "≥"
  console.log(
    `${kept(outcome) ? "kept  " : "MISSED"} ${outcome.promise}: ${show(outcome.measured)} ${outcome.unit} (${sign} ${outcome.limit})   ${figures.join(", ")}`,
  )
}

const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith(".bench.ts"))
const benches: Bench[] = []
for (const file of files) {
  const { bench } = (await import(join(import.meta.dirname, file))) as { bench: Bench }
  if (names.length === 0 || names.includes(bench.name)) benches.push(bench)
}

const sloop = await startSloop()
const docker = await startDocker()
const podman = await startPodman()
if (!docker) console.log("dockerd is not installed: its side of every comparison is missing.")
if (!podman) console.log("podman is not available: its figures are missing.")
const outcomes: Outcome[] = []
try {
  for (const bench of benches) {
    for (const outcome of await bench.run({ sloop, docker, podman, rounds })) {
      outcomes.push(outcome)
      print(outcome)
    }
  }
} finally {
  await sloop.close()
  await docker?.close()
  await podman?.close()
}
const directory = join(import.meta.dirname, "results")
mkdirSync(directory, { recursive: true })
const file = join(directory, `${new Date().toISOString().replaceAll(":", "-")}.json`)
writeFileSync(
  file,
  JSON.stringify(
    { machine: { cores: cpus().length, model: cpus()[0]?.model, kernel: release() }, rounds, outcomes },
    null,
    1,
  ),
)
console.log(`raw figures: ${file}`)
// Only a run against a real peer speaks for the promises, and for all of them only a whole, unhurried one.
const whole = names.length === 0 && !words.includes("--quick")
if (docker && (whole || words.includes("--record"))) writeFigures(outcomes, { whole })
process.exitCode = outcomes.every(kept) ? 0 : 1
