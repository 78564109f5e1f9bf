// Spec and plan of configs, case by case: testing/plans/<case>/ holds what is asked and the plan it gives.
// With SLOOP_UPDATE_GOLDEN=1 the plans are written anew.
import { expect, test } from "bun:test"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { KernelFeatures, Operation } from "../kernel/kernel.ts"
import { launchPlan } from "./plan.ts"
import { seccompChoice } from "./seccomp/choice.ts"
import { buildSpec } from "./spec/spec.ts"
import { plainRequest } from "./testing/fixtures.ts"

const folder = join(import.meta.dirname, "testing", "plans")

const controllers = ["cpu,cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids"]
const features = (mode: string): KernelFeatures => ({
  kernelVersion: "6.18.0",
  cgroupMode: mode === "v2" ? "v2" : "hybrid",
  cgroupV1: new Map(
    mode === "v2"
      ? []
      : controllers.flatMap((mount) =>
          mount.split(",").map((name) => [name, `/sys/fs/cgroup/${mount}`] as const),
        ),
  ),
  cgroupV2: mode === "v2" ? "/sys/fs/cgroup" : "/sys/fs/cgroup/unified",
  capabilities: (1n << 41n) - 1n,
  raw: new Map(),
})

const choose = seccompChoice()

function planOf(asked: { cgroup?: string; argv?: string[]; config?: object; request?: object }): Operation[] {
  const request = plainRequest(asked.argv ?? ["true"], asked.config, asked.request)
  const { spec, layout } = buildSpec({
    request,
    features: features(asked.cgroup ?? "v1"),
    cgroupParent: "sloop",
    seccomp: choose(request.config, "6.18.0"),
  })
  return launchPlan(spec, {
    layout,
    root: request.root,
    monitorSocket: `${request.runDirectory}/monitor.sock`,
    exitRecord: `${request.directory}/exit`,
    durableExit: request.durableExit,
    log: request.log,
    stdinOpen: request.config.openStdin,
    stdinOnce: request.config.stdinOnce,
    expectedAttachments: request.expectedAttachments,
    reservations: request.reservations,
    init: request.config.init === true,
  })
}

/** Programs are long and tested by themselves. */
const line = ([name, ...args]: Operation): string =>
  name === "seccomp" || name === "cgroup-device-program"
    ? `${name} …`
    : [name, ...args.map((word) => (word === "" || /[\s"]/.test(word) ? JSON.stringify(word) : word))].join(
        " ",
      )

for (const name of readdirSync(folder).toSorted())
  test(name.replaceAll("-", " "), () => {
    const asked = JSON.parse(readFileSync(join(folder, name, "asked.json"), "utf8"))
    const text = `${planOf(asked).map(line).join("\n")}\n`
    const path = join(folder, name, "plan.txt")
    if (process.env.SLOOP_UPDATE_GOLDEN === "1" || !existsSync(path)) writeFileSync(path, text)
    expect(text).toBe(readFileSync(path, "utf8"))
  })

test("spec and plan take less than 0.3 ms, warm", () => {
  for (let round = 0; round < 200; round++) planOf({})
  const times = Array.from({ length: 100 }, () => {
    const before = performance.now()
    planOf({})
    return performance.now() - before
  }).sort((a, b) => a - b)
  // The median of a shared machine; the promise is measured in bench/.
  expect(times[50] ?? 1).toBeLessThan(1)
})
