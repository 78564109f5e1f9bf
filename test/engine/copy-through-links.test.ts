// Copying into and out of a container follows its links to where they lead while it runs, also while it does not.
import { afterEach, beforeEach, expect, test } from "bun:test"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { writeTar } from "../../src/base/tar-writer.ts"
import { gather } from "../fixtures/busybox-image.ts"
import { busybox, type Ground, openGround, until } from "./ground.ts"

let ground: Ground
let host: string
let id: string
beforeEach(async () => {
  ground = await openGround()
  host = mkdtempSync(join(tmpdir(), "slc-"))
  const { containers } = ground.engine
  const links =
    "ln -s /data /to-volume; ln -s /etc /data/to-layer; ln -s /bound/deep /data/to-bind; ln -s /fixed /to-fixed"
  const config = busybox(["sh", "-c", `${links}; mkdir /bound/deep; sleep 1000`], {
    volumes: ["/data"],
    mounts: [
      { type: "bind", source: host, target: "/bound", readOnly: false, origin: "binds" },
      { type: "bind", source: host, target: "/fixed", readOnly: true, origin: "binds" },
    ],
  })
  id = (await containers.create({ config })).id
  await containers.start(id)
  await until(() => existsSync(join(host, "deep")))
  await containers.kill(id)
  await ground.settle()
}, 60_000)
afterEach(async () => {
  await ground.close()
  rmSync(host, { recursive: true, force: true })
}, 60_000)

const put = (directory: string, name: string) =>
  ground.engine.containers.archivePut(
    id,
    directory,
    writeTar([{ name, type: "file", mode: 0o644, body: Buffer.from(name) }]),
    { noOverwriteDirNonDir: false, copyOwners: false },
  )
const firstName = async (path: string): Promise<string> => {
  const { tar } = await ground.engine.containers.archiveGet(id, path)
  return Buffer.from(await gather(tar))
    .subarray(0, 100)
    .toString()
    .replace(/\0.*$/s, "")
}

test("a link of the layer leads into the volume, one of the volume into the layer, one of the volume into a bind", async () => {
  const { containers, volumes } = ground.engine
  await put("/to-volume", "one")
  await put("/data/to-layer", "two")
  await put("/to-volume/to-bind", "three")
  const [volume] = volumes.list()
  expect(readFileSync(join(volumes.path(volume?.name ?? ""), "one"), "utf8")).toBe("one")
  expect(existsSync(join(volumes.path(volume?.name ?? ""), "two"))).toBe(false)
  expect(readFileSync(join(host, "deep", "three"), "utf8")).toBe("three")
  expect((await containers.archiveStat(id, "/etc/two")).size).toBe(3)
  expect(await firstName("/to-volume/to-bind/three")).toBe("three")
  // The same paths, seen by the container itself.
  await containers.start(id)
  for (const path of ["/data/one", "/etc/two", "/bound/deep/three"])
    expect((await containers.archiveStat(id, path)).name).toBe(path.split("/").at(-1) ?? "")
}, 20_000)

test("a link into a read-only mount is refused, a bind whose source is gone hides nothing", async () => {
  await expect(put("/to-fixed", "four")).rejects.toThrow("marked read-only")
  expect(existsSync(join(host, "four"))).toBe(false)
  rmSync(host, { recursive: true })
  await put("/etc", "five")
  expect((await ground.engine.containers.archiveStat(id, "/etc/five")).size).toBe(4)
  writeFileSync(host, "")
  rmSync(host)
}, 20_000)
