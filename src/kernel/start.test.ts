// The real launcher: started, kept, replaced, started anew when it died.
import { afterEach, expect, test } from "bun:test"
import { spawn } from "node:child_process"
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { testLauncher } from "../../test/fixtures/launcher-kernel.ts"
import { errorKind } from "../base/errors.ts"
import { type LauncherKernel, openKernel } from "./kernel.ts"
import { identify, launcherSocket } from "./start.ts"

const cleanups: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

const place = () => {
  const runRoot = mkdtempSync(join(tmpdir(), "sloop-start-"))
  cleanups.push(() => rmSync(runRoot, { recursive: true, force: true }))
  return { launcherBinary: testLauncher(), runRoot, dataRoot: runRoot }
}

const open = async (where: ReturnType<typeof place>): Promise<LauncherKernel> => {
  const kernel = await openKernel(where)
  cleanups.push(async () => {
    await kernel.stopLauncher()
    await kernel.close()
  })
  return kernel
}

test("a launcher is started once and shared", async () => {
  const where = place()
  const first = await open(where)
  const second = await open(where)
  expect(await second.launcherPid()).toBe(await first.launcherPid())
  expect((await first.features()).kernelVersion).toMatch(/^\d+\.\d+/)
})

test("a launcher that was killed is started anew by the next requests, once", async () => {
  const kernel = await open(place())
  const before = await kernel.launcherPid()
  process.kill(before, "SIGKILL")
  const pids = await Promise.all(
    Array.from({ length: 8 }, async () => Number((await kernel.perform([["version"]])).get("pid")?.[0])),
  )
  expect(new Set(pids).size).toBe(1)
  expect(pids[0]).not.toBe(before)
})

test("a launcher of another build is replaced", async () => {
  const where = place()
  const old = await open(where)
  const before = await old.launcherPid()
  const launcherBinary = join(where.runRoot, "newer")
  copyFileSync(where.launcherBinary, launcherBinary)
  appendFileSync(launcherBinary, "\0")
  const kernel = await open({ ...where, launcherBinary })
  expect(await kernel.launcherPid()).not.toBe(before)
  // Whoever still uses the old handle meets the new launcher.
  expect(await old.launcherPid()).toBe(await kernel.launcherPid())
})

test("a launcher that cannot start says why", async () => {
  const where = place()
  const broken = join(where.runRoot, "broken")
  writeFileSync(broken, "#!/bin/sh\necho no room >&2\nexit 3\n", { mode: 0o755 })
  await expect(openKernel({ ...where, launcherBinary: broken })).rejects.toThrow(
    `The launcher ${broken} did not start: it exited with code 3 (no room)`,
  )
  await expect(openKernel({ ...where, launcherBinary: join(where.runRoot, "none") })).rejects.toThrow(
    "did not start",
  )
})

test("a launcher that is stopped leaves nothing that answers", async () => {
  const where = place()
  const kernel = await open(where)
  const pid = await kernel.launcherPid()
  await kernel.stopLauncher()
  await kernel.stopLauncher()
  expect(existsSync(`/proc/${pid}/exe`)).toBe(false)
})

test("requests that are under way when the kernel is closed and the launcher stopped start no other one", async () => {
  for (let round = 0; round < 10; round++) {
    const where = place()
    const kernel = await open(where)
    process.kill(await kernel.launcherPid(), "SIGKILL")
    const requests = Array.from({ length: 4 }, () => kernel.perform([["version"]]).catch(() => undefined))
    await Bun.sleep(round)
    await kernel.close()
    requests.push(kernel.perform([["version"]]).catch(() => undefined))
    await kernel.stopLauncher()
    await Promise.all(requests)
    await Bun.sleep(20)
    expect(await identify(launcherSocket(where))).toBeUndefined()
  }
})

/** Launchers of a run root that live, by their command line, and their children for requests: pid and parent. */
const servingFor = (where: ReturnType<typeof place>): Map<number, number> =>
  new Map(
    readdirSync("/proc").flatMap((name) => {
      try {
        const words = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0")
        if (words[1] !== "serve" || words[2] !== launcherSocket(where)) return []
        const status = readFileSync(`/proc/${name}/status`, "utf8")
        return [[Number(name), Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1])] as const]
      } catch {
        return []
      }
    }),
  )

/** Without the processes that wait for the plan of a launch. */
const launchersOf = (where: ReturnType<typeof place>): number[] => {
  const serving = servingFor(where)
  return [...serving].flatMap(([pid, parent]) => (serving.has(parent) ? [] : [pid]))
}

/** Resolves when the launcher that was spawned has ended; its exit code. */
const spawnLauncher = (where: ReturnType<typeof place>): Promise<number | null> => {
  const words = ["serve", launcherSocket(where), where.dataRoot]
  const child = spawn(where.launcherBinary, words, { stdio: "ignore" })
  cleanups.push(() => {
    child.kill("SIGKILL")
  })
  return new Promise((resolve) => child.once("exit", resolve))
}

const eventually = async (holds: () => boolean | Promise<boolean>, milliseconds = 10_000): Promise<void> => {
  for (const end = Date.now() + milliseconds; !(await holds()); await Bun.sleep(5))
    if (Date.now() > end) throw new Error("it never came to hold")
}

test("of launchers that start at once one serves, and the others end", async () => {
  for (let round = 0; round < 15; round++) {
    const where = place()
    const ended: (number | null)[] = []
    for (let count = 0; count < 6; count++) void spawnLauncher(where).then((code) => ended.push(code))
    await eventually(() => ended.length === 5)
    await Bun.sleep(10)
    expect(ended).toEqual([1, 1, 1, 1, 1])
    const found = await identify(launcherSocket(where))
    await eventually(() => launchersOf(where).join() === `${found?.pid}`)
  }
}, 60_000)

test("requests that follow each other while the launcher is stopped start no other one", async () => {
  const where = place()
  const kernel = await open(where)
  const chain = (async () => {
    for (let count = 0; count < 2000; count++) await kernel.perform([["version"]])
  })().catch((error: unknown) => errorKind(error))
  await Bun.sleep(20)
  await kernel.stopLauncher()
  expect(await chain).toBe("cancelled")
  await Bun.sleep(50)
  expect(launchersOf(where)).toEqual([])
})

test("a launcher whose socket was removed makes way, and ends by itself when nobody comes", async () => {
  const where = place()
  const socket = launcherSocket(where)
  const lost = await (await open(where)).launcherPid()
  rmSync(socket)
  const kernel = await open(where)
  expect(await kernel.launcherPid()).not.toBe(lost)
  const pid = await kernel.launcherPid()
  await eventually(() => launchersOf(where).join() === `${pid}`)
  rmSync(socket)
  await eventually(() => launchersOf(where).length === 0)
}, 30_000)

/** One process waits for the next launch's plan. */
const oneWaits = (where: ReturnType<typeof place>): Promise<void> =>
  eventually(() => servingFor(where).size === 2)

test("a process waits for the next launch, until the kernel is closed", async () => {
  const where = place()
  const kernel = await open(where)
  await oneWaits(where)
  await kernel.close()
  await eventually(() => servingFor(where).size === 1)
})

test("an engine that is killed leaves no process that waits, and its launcher serves on", async () => {
  const where = place()
  const script = `import { openKernel } from "${join(import.meta.dirname, "kernel.ts")}"
    await openKernel(${JSON.stringify(where)}); setInterval(() => {}, 1000)`
  const engine = spawn(process.execPath, ["-e", script], { stdio: "ignore" })
  await oneWaits(where)
  engine.kill("SIGKILL")
  await eventually(() => servingFor(where).size === 1)
  await open(where)
})

test("a launch whose waiting process died with its launcher is asked of the next one", async () => {
  for (const noticed of [false, true]) {
    const where = place()
    const kernel = await open(where)
    await oneWaits(where)
    process.kill(await kernel.launcherPid(), "SIGKILL")
    if (noticed) await Bun.sleep(30)
    // It answers: that it does not like the plan.
    expect(await kernel.launch("x", [], "/none").catch((error: unknown) => error)).toMatchObject({
      step: "monitor-socket",
    })
  }
})
