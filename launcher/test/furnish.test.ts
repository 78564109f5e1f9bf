// Layers made once and used again: furnish over hostile images, renew of what a container may have left.
import { afterAll, expect, test } from "bun:test"
import { mkdirSync, readdirSync, readlinkSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { freshDirectory, pack, unpack } from "./archives.ts"
import { ask, startLauncher } from "./client.ts"
import { tarOf } from "./tar.ts"

const launcher = await startLauncher()
afterAll(() => launcher[Symbol.asyncDispose]())

/** Furnishes an image that `make` lays out; gives the layer's directory. */
async function furnished(place: string, make: (image: string) => void): Promise<string> {
  const [image, upper, work] = ["image", "upper", "work"].map((name) => join(place, name))
  if (image === undefined || upper === undefined || work === undefined) throw new Error("no places")
  for (const directory of [image, upper, work]) mkdirSync(directory)
  make(image)
  const report = await ask(launcher.socket, [
    ["furnish"],
    ["root-overlay", upper, work, "", image],
    ["directory", "/dev", "755", "0", "0"],
    ["directory", "/dev/pts", "755", "0", "0"],
    ["directory", "/etc", "755", "0", "0"],
    ["file", "/etc/hosts"],
    ["symlink", "/proc/mounts", "/etc/mtab"],
  ])
  expect(report.kind).toBe("ok")
  return upper
}

test("furnish makes what is missing and leaves what is there", async () => {
  using place = freshDirectory(launcher.directory)
  const upper = await furnished(place.path, (image) => {
    mkdirSync(join(image, "etc"))
    writeFileSync(join(image, "etc/hosts"), "the image's\n")
  })
  expect(readdirSync(upper).sort()).toEqual(["dev", "etc"])
  expect(readdirSync(join(upper, "dev"))).toEqual(["pts"])
  expect(readdirSync(join(upper, "etc"))).toEqual(["mtab"])
  expect(readlinkSync(join(upper, "etc/mtab"))).toBe("/proc/mounts")
})

test("furnish stays in the root and skips what an image has in the way", async () => {
  using place = freshDirectory(launcher.directory)
  const outside = join(place.path, "outside")
  mkdirSync(outside)
  const upper = await furnished(place.path, (image) => {
    symlinkSync(outside, join(image, "dev"))
    symlinkSync(outside, join(image, "etc"))
  })
  expect(readdirSync(outside)).toEqual([])
  // /etc leads to the same path inside the root; /dev may not be redirected at all.
  expect(readdirSync(upper)).not.toContain("dev")
})

test("renew takes empty layers only and puts back what a container may have changed", async () => {
  using place = freshDirectory(launcher.directory)
  const layer = (name: string): readonly [upper: string, work: string] => {
    const pair = [join(place.path, name, "fs"), join(place.path, name, "work")] as const
    for (const directory of pair) mkdirSync(directory, { recursive: true })
    return pair
  }
  const [changed, written, missing] = [
    layer("changed"),
    layer("written"),
    [join(place.path, "no"), "/no"] as const,
  ]
  const hostile = { name: "./", kind: "5", mode: 0o1700, uid: 7, gid: 8, xattrs: { "user.secret": "1" } }
  await unpack(launcher.socket, changed[0], tarOf(hostile))
  expect((await pack(launcher.socket, changed[0], "/")).includes("user.secret")).toBe(true)
  mkdirSync(join(changed[1], "work/incompat/volatile"), { recursive: true })
  writeFileSync(join(written[0], "f"), "")
  const report = await ask(launcher.socket, [
    ["renew"],
    ...[changed, written, missing].map((pair) => ["layer", ...pair] as const),
  ])
  expect(report.fields).toEqual(["renewed", "yes", "renewed", "no", "renewed", "no"])
  const { mode, uid, gid } = statSync(changed[0])
  expect([mode & 0o7777, uid, gid]).toEqual([0o755, 0, 0])
  expect((await pack(launcher.socket, changed[0], "/")).includes("user.secret")).toBe(false)
  expect(readdirSync(changed[1])).toEqual([])
  expect(readdirSync(written[0])).toEqual(["f"])
})
