// The real launcher: started, kept, replaced, started anew when it died.
import { afterEach, expect, test } from "bun:test"
import { appendFileSync, copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { testLauncher } from "../../test/fixtures/launcher-kernel.ts"
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
