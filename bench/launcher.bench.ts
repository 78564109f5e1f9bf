// The launcher alone: from a plan handed over to its process's exit known, with a prepared network namespace and with
// one made for it, against the kernel's own floor for the same work on such a machine. The program is the floor's own, a
// static true: the base image's takes 0.6 ms itself on machines that trap CPUID, because of its libc.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Kernel, openKernel } from "../src/kernel/kernel.ts"
import type { OverlayMount } from "../src/kernel/mount.ts"
import { createRuntime, type LaunchRequest } from "../src/runtime/runtime.ts"
import { plainConfig } from "../src/runtime/testing/fixtures.ts"
import { compile } from "../test/fixtures/c-program.ts"
import { median } from "./harness/measure.ts"
import type { Bench } from "./harness/promise.ts"

/** Milliseconds that a C program needs for the same work on such a machine, median. */
const floor = { cold: 2.05, warm: 1.13 }
const launcherBinary = process.env.SLOOP_LAUNCHER ?? join(import.meta.dirname, "..", "dist", "launcher")

/** A kernel that notes how long each launch took until its process's end was known. */
function timing(kernel: Kernel, samples: number[]): Kernel {
  return {
    ...kernel,
    features: () => kernel.features(),
    perform: (plan, signal) => kernel.perform(plan, signal),
    launch: async (...words: Parameters<Kernel["launch"]>) => {
      const since = performance.now()
      const monitor = await kernel.launch(...words)
      void monitor.exited.then(() => samples.push(performance.now() - since))
      return monitor
    },
  }
}

async function layers(directory: string): Promise<(name: string) => OverlayMount> {
  const lower = Array.from({ length: 5 }, (_, index) => join(directory, `layer-${index}`))
  for (const path of lower) mkdirSync(path, { recursive: true })
  // As the engine furnishes an image: nothing to mount over is made at a launch.
  for (const path of ["dev", "dev/pts", "dev/shm", "etc", "proc", "sys"])
    mkdirSync(join(lower[0] ?? directory, path), { recursive: true })
  const source = join(directory, "true.c")
  writeFileSync(source, "int main(void) { return 0; }\n")
  compile(lower[0] ?? directory, source)
  return (name) => {
    const [upper, work] = [join(directory, name, "upper"), join(directory, name, "work")]
    mkdirSync(upper, { recursive: true })
    mkdirSync(work, { recursive: true })
    return { type: "overlay", lower, upper, work, options: ["volatile"] }
  }
}

export const bench: Bench = {
  name: "launcher",
  async run({ rounds }) {
    const directory = mkdtempSync(join(tmpdir(), "sbl-"))
    const samples: Record<keyof typeof floor, number[]> = { cold: [], warm: [] }
    const kernel = await openKernel({ launcherBinary, runRoot: join(directory, "run"), dataRoot: directory })
    await kernel.perform([["cgroup-favor-moves"]]).catch(() => undefined)
    const overlay = await layers(directory)
    const once = async (kind: keyof typeof floor, index: number) => {
      const id = `${kind}${String(index).padStart(60, "0")}`
      const own = join(directory, id)
      mkdirSync(own, { recursive: true })
      const namespace = kind === "warm" ? `bench-${index}` : undefined
      if (namespace) await kernel.perform([["netns-create"], ["name", namespace]])
      const runtime = createRuntime({
        kernel: timing(kernel, index < 3 ? [] : samples[kind]),
        cgroupParent: "sloop-bench",
      })
      const config = plainConfig({ resources: { memory: 256 << 20, cpuShares: 512, pids: 100 } })
      const request: LaunchRequest = {
        id,
        name: id,
        config,
        argv: ["/true"],
        env: ["PATH=/bin"],
        root: overlay(id),
        mounts: [],
        networkNamespace: namespace ? `held:${namespace}` : "new",
        joined: {},
        reservations: [],
        expectedAttachments: 0,
        directory: own,
        runDirectory: join(directory, "c", String(index)),
        log: { driver: "json-file", path: join(own, "log"), maxBytes: 0, maxFiles: 1 },
        durableExit: false,
      }
      const task = await runtime.launch(request)
      await task.exited
      if (namespace) await kernel.perform([["netns-drop"], ["name", namespace]])
      await runtime.clean({ id, config, runDirectory: request.runDirectory })
      // Dead network namespaces are torn down for tens of milliseconds; they would weigh on the next one.
      await new Promise((resolve) => setTimeout(resolve, 60))
    }
    for (let index = 0; index < rounds * 3; index++)
      for (const kind of ["cold", "warm"] as const) await once(kind, index)
    await kernel.stopLauncher()
    await kernel.close()
    rmSync(directory, { recursive: true, force: true })
    return (["cold", "warm"] as const).map((kind) => ({
      promise: `launcher alone, ${kind === "cold" ? "namespace made for it" : "prepared network namespace"}: times the kernel's floor`,
      measured: median(samples[kind]) / floor[kind],
      unit: "×",
      limit: 1.5,
      better: "lower" as const,
      figures: { milliseconds: median(samples[kind]), floor: floor[kind] },
      raw: { [kind]: samples[kind] },
    }))
  },
}
