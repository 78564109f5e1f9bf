// system df tells of every byte below the data root: as much as du finds, and each belongs to something named.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { startEngine, type TestEngine } from "../fixtures/engine.ts"
import { rawRequest } from "../fixtures/raw-request.ts"

let engine: TestEngine
beforeAll(async () => {
  engine = await startEngine()
})
afterAll(() => engine.close())

interface Told {
  readonly LayersSize: number
  readonly DataRoot: {
    readonly Total: number
    readonly Things: readonly { readonly Name: string; readonly Bytes: number }[]
  }
}

const told = async (): Promise<Told> => {
  const { body } = await rawRequest(engine.socket, "GET", "/v1.41/system/df")
  return JSON.parse(body) as Told
}
const found = (): number => {
  const { stdout } = spawnSync("du", ["-s", "--block-size=1", join(engine.root, "data")], {
    encoding: "utf8",
  })
  return Number(stdout.split("\t")[0])
}
/** Compared when nothing is in motion: the log of the database grows and shrinks by itself. */
const compare = async (): Promise<Told> => {
  for (let tries = 0; ; tries++) {
    const before = found()
    const use = await told()
    if (before === found() || tries === 20) {
      expect(use.DataRoot.Total).toBe(before)
      return use
    }
    await Bun.sleep(100)
  }
}
const thing = (use: Told, name: string): number =>
  use.DataRoot.Things.find(({ Name }) => Name === name)?.Bytes ?? 0

test("an image, containers with what they wrote, volumes, logs: df and du agree to the byte", async () => {
  const fresh = await compare()
  expect(fresh.LayersSize).toBeGreaterThan(0)
  const write = "head -c 300000 /dev/zero > /file; head -c 50000 /dev/zero > /data/file; echo said"
  await engine.ok("run", "--name", "wrote", "-v", "kept:/data", "busybox", "sh", "-c", write)
  await engine.ok("run", "-d", "--name", "lives", "busybox", "sleep", "1000")
  const used = await compare()
  expect(thing(used, "containers") - thing(fresh, "containers")).toBeGreaterThan(300_000)
  expect(thing(used, "volumes") - thing(fresh, "volumes")).toBeGreaterThan(50_000)
  await engine.ok("commit", "wrote", "committed:1")
  const committed = await compare()
  expect(committed.LayersSize - used.LayersSize).toBeGreaterThan(300_000)
  const archive = join(engine.work, "saved.tar")
  mkdirSync(engine.work, { recursive: true })
  await engine.ok("save", "-o", archive, "committed:1")
  await engine.ok("rm", "-f", "wrote", "lives")
  await engine.ok("rmi", "committed:1")
  await engine.ok("load", "-i", archive)
  await compare()
  await engine.ok("rmi", "committed:1")
  await engine.ok("volume", "rm", "kept")
  await Bun.sleep(500)
  const end = await compare()
  // What was removed came back; only the database may have grown.
  expect(end.LayersSize).toBe(used.LayersSize)
  expect(thing(end, "image documents")).toBe(thing(fresh, "image documents"))
}, 60_000)

test("what fills a volume from outside is counted too, and the verbose listing ends with the sum", async () => {
  await engine.ok("volume", "create", "outside")
  writeFileSync(join(engine.root, "data", "volumes", "outside", "f"), Buffer.alloc(12_345))
  const use = await compare()
  const shown = (await engine.sloop("system", "df", "--data-root")).stdout
  expect(shown).toContain("Data root usage:")
  for (const { Name } of use.DataRoot.Things) expect(shown).toContain(Name)
}, 30_000)
