// A full disk: the step says so, nothing of it is left, and steps run when there is room again.
import { afterAll, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync } from "node:fs"
import { join } from "node:path"
import { openStepGround } from "../testing/ground.ts"

const place = mkdtempSync("/tmp/slb-")
const small = join(place, "small")
mkdirSync(small)
const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=48m,mode=700", "slb", small])
if (mounted.status !== 0) throw new Error(`no small disk: ${mounted.stderr}`)
const ground = await openStepGround({ dataRoot: join(small, "d"), form: "overlay" })
afterAll(async () => {
  await ground.close()
  spawnSync("umount", ["-l", small])
  rmSync(place, { recursive: true, force: true })
}, 20_000)

const free = () => {
  const { bavail, bsize } = statfsSync(small)
  return bavail * bsize
}

test("a step that fills the disk fails with the command's own words", async () => {
  const before = free()
  const work = ground.sh("dd if=/dev/zero of=/big bs=1M count=100")
  await expect(work).rejects.toThrow("did not complete successfully: exit code: 1")
  await ground.steps.close()
  await ground.rooms.snapshots.settle()
  expect(ground.leftovers()).toEqual([])
  expect(before - free()).toBeLessThan(3 << 20)
})

test("a disk that is full when the layer is written: a clear sentence, nothing left, and room again", async () => {
  const before = free()
  const size = Math.floor(before / (1 << 20)) - 4
  const work = ground.sh(`dd if=/dev/urandom of=/big bs=1M count=${size} 2>/dev/null`)
  await expect(work).rejects.toMatchObject({
    kind: "exhausted",
    message: expect.stringContaining("no space left on the disk"),
  })
  await ground.steps.close()
  await ground.rooms.snapshots.settle()
  expect(ground.leftovers()).toEqual([])
  expect(readdirSync(join(ground.rooms.root, "layers"))).toEqual([])
  expect(before - free()).toBeLessThan(3 << 20)
  expect((await ground.sh("echo again > /x; cat /x")).output).toBe("again\n")
})
