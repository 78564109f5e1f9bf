// cgroup v2 for real: the whole engine in a virtual machine whose kernel has nothing else.
import { beforeAll, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { boot, whyNot } from "./machine.ts"

const reason = whyNot()
if (reason) console.log(`SKIPPED: cgroup v2 is not tested on this machine: ${reason}.`)

let shown = ""
const checks = new Map<string, string>()

beforeAll(async () => {
  if (reason) return
  shown = await boot(readFileSync(join(import.meta.dirname, "guest.sh"), "utf8"), 240)
  for (const [, name = "", value = ""] of shown.matchAll(
    /^CHECK ([^:]+): ?([\s\S]*?)(?=\n(?:CHECK |VM-DONE|\[)|$)/gm,
  ))
    checks.set(name, value.trim())
}, 260_000)

const expected: readonly (readonly [name: string, value: string | RegExp])[] = [
  ["import", "ok"],
  ["version", "2"],
  ["hello", "hello"],
  ["memory.max", String(64 << 20)],
  ["memory.low", String(32 << 20)],
  ["pids.max", "50"],
  ["cpu.max", "50000 100000"],
  ["cpu.weight", "20"],
  ["cpuset.cpus", "0"],
  ["inside", "0::/"],
  ["updated", `${128 << 20} 60`],
  ["frozen", "1 paused"],
  ["thawed", "0 running"],
  ["stats", /^1 .*128MiB$/],
  ["top", "1"],
  ["oom", "137 true"],
  ["oom-of-a-child", "true running"],
  ["device-denied", "1"],
  ["device-allowed", "yes"],
  ["null-works", "4"],
  ["privileged", "yes"],
  ["readonly-cgroup", "1"],
  ["published", "page"],
  ["left", "0"],
]

for (const [name, value] of expected) {
  test.skipIf(reason !== undefined)(name, () => {
    const found = checks.get(name) ?? `nothing; the console's end:\n${shown.slice(-3000)}`
    if (typeof value === "string") expect(found).toBe(value)
    else expect(found).toMatch(value)
  })
}
