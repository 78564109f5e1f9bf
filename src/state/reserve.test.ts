// The room kept aside on a disk that is really full.
import { afterAll, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openReserve } from "./reserve.ts"
import { openState } from "./state.ts"

const disk = mkdtempSync(join(tmpdir(), "reserve-"))
const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=4m", "reserve", disk]).status === 0
afterAll(() => {
  spawnSync("umount", ["-l", disk])
  rmSync(disk, { recursive: true, force: true })
})
const fill = () =>
  spawnSync("dd", ["if=/dev/zero", `of=${join(disk, "ballast")}`, "bs=4k"], { stdio: "ignore" })

test.skipIf(!mounted)("what makes room is written on a full disk, other things are not", () => {
  const state = openState(join(disk, "state.db"))
  state.settings.put("kept", "1")
  fill()
  const text = "x".repeat(100_000)
  expect(() => state.transaction(() => state.settings.put("more", text))).toThrow(
    "no space left on device: remove what is not needed there",
  )
  expect(state.settings.find("more")).toBeUndefined()
  state.transaction(
    () => {
      state.settings.put("removal", text)
      state.settings.remove("kept")
    },
    { makesRoom: true },
  )
  expect(state.settings.find("kept")).toBeUndefined()
  state.close()
  rmSync(join(disk, "ballast"))
})

test.skipIf(!mounted)("the room is taken again when there is enough, and a full disk is no error", () => {
  const path = join(disk, "reserve")
  const reserve = openReserve(path)
  expect(reserve.release()).toBe(true)
  expect(reserve.release()).toBe(false)
  fill()
  expect(reserve.restore()).toBe(false)
  expect(openReserve(path).release()).toBe(false)
  rmSync(join(disk, "ballast"))
  writeFileSync(join(disk, "small"), "x")
  expect(reserve.restore()).toBe(true)
  expect(reserve.release()).toBe(true)
})
