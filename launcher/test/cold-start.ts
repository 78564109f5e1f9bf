// Measures the launcher alone: request to started and to exit known, medians of 50 (bun launcher/test/cold-start.ts).
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { ask, connect, type Operation, startLauncher } from "./client.ts"
import { type ContainerWish, launchPlan, makeRoot, standardMasks, standardMounts } from "./container.ts"

await using launcher = await startLauncher()
const at = launcher.directory
const root = makeRoot(join(at, "root"))
const lowers = ["l1", "l2", "l3", "l4"].map((name) => join(at, name))
for (const path of [...lowers, join(at, "upper"), join(at, "work"), join(at, "c")]) mkdirSync(path)
writeFileSync(join(at, "nothing.c"), "int main(void) { return 0; }\n")
const compiler = existsSync("/usr/bin/musl-gcc") ? "musl-gcc" : "cc"
Bun.spawnSync([compiler, "-static", "-O1", "-o", join(at, "nothing"), join(at, "nothing.c")])
copyFileSync(join(at, "nothing"), join(root, "bin/nothing"))

const cgroups = ["cpu", "memory", "pids", "cpuset", "devices"]
  .map((kind) => `/sys/fs/cgroup/${kind}/sloop-cold-start`)
  .filter((path) => existsSync(join(path, "..")))
const common: ContainerWish = {
  root: [["root-overlay", join(at, "upper"), join(at, "work"), "", ...lowers, root]],
  mounts: [...standardMounts, ...standardMasks],
  operations: cgroups.map((path): Operation => ["cgroup", path]),
  argv: ["/bin/nothing"],
}
const shared = ["mount", "pid", "uts", "ipc", "cgroup"]
const held: Operation = ["namespace", "network", "held:pooled"]
const wishes: Record<string, ContainerWish> = {
  "own network namespace": common,
  "pooled network namespace": {
    ...common,
    namespaces: shared,
    operations: [...(common.operations ?? []), held],
  },
  "host's network": { ...common, namespaces: shared },
}
await ask(launcher.socket, [["netns-create"], ["name", "pooled"]])

const middle = (values: number[]): string => {
  const sorted = values.toSorted((a, b) => a - b)
  const pick = (part: number): string => (sorted[Math.floor((sorted.length - 1) * part)] ?? 0).toFixed(2)
  return `min ${pick(0)}  median ${pick(0.5)}  p90 ${pick(0.9)} ms`
}

for (const [name, wish] of Object.entries(wishes)) {
  const started: number[] = []
  const exited: number[] = []
  const plan = launchPlan(join(at, "c"), wish).filter(([operation]) => operation !== "attach-expect")
  for (let n = 0; n < 55; n++) {
    const begin = performance.now()
    const connection = await connect(launcher.socket)
    connection.send(plan)
    const first = await connection.report()
    const middleTime = performance.now()
    if (first.kind !== "started") throw new Error(first.fields.join(" "))
    await connection.report()
    if (n >= 5) {
      started.push(middleTime - begin)
      exited.push(performance.now() - begin)
    }
    await connection.reports()
    connection.close()
    await Bun.sleep(3)
  }
  console.log(`${name.padEnd(26)} started: ${middle(started)}   exit known: ${middle(exited)}`)
}
for (const path of cgroups) Bun.spawnSync(["rmdir", path])
