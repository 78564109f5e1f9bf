// What the cache depends on, what it takes on the disk, and that pruning gives back what it says.
import { afterAll, expect, test } from "bun:test"
import { utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { lines, startBuildGround } from "./ground.ts"

const ground = await startBuildGround()
afterAll(() => ground.close(), 60_000)

const text = (words: string) => Buffer.from(words)

test("a bind mount counts by its contents: the part that is mounted, not its times", async () => {
  const directory = ground.context({
    Dockerfile: lines("FROM busybox", "RUN --mount=type=bind,source=in,target=/in cat /in/a > /a"),
    "in/a": "one",
    "out/b": "b",
  })
  await ground.build(directory)
  utimesSync(join(directory, "in", "a"), 1, 1)
  writeFileSync(join(directory, "out", "b"), "other")
  expect((await ground.build(directory)).ran).toEqual([])
  writeFileSync(join(directory, "in", "a"), "two")
  expect((await ground.build(directory)).ran.length).toBe(1)
  expect(await ground.read(directory, "/a")).toBe("two")
})

test("a cache mount keeps files between builds and is no part of the key or the image", async () => {
  const at = (word: string) =>
    ground.context({
      Dockerfile: lines(
        "FROM busybox",
        `RUN --mount=type=cache,target=/kept,id=kept echo ${word} >> /kept/log; cp /kept/log /seen`,
      ),
    })
  await ground.build(at("one"))
  const second = at("two")
  await ground.build(second)
  expect(await ground.read(second, "/seen")).toBe("one\ntwo\n")
  await expect(ground.read(second, "/kept/log")).rejects.toThrow("no such file")
  const rows = await ground.builder().usage({ kind: ["exec.cachemount"] })
  expect(rows.map(({ inUse }) => inUse)).toEqual([false])
})

test("a secret's value is no part of the key, its id is; it is in no layer, log or record", async () => {
  const directory = ground.context({
    Dockerfile: lines(
      "FROM busybox",
      "RUN --mount=type=secret,id=token,required wc -c < /run/secrets/token > /n",
    ),
  })
  const secrets = (value: string) => async (id: string) => (id === "token" ? text(value) : undefined)
  const first = await ground.build(directory, { secrets: secrets("hunter-secret-2") })
  const second = await ground.build(directory, { secrets: secrets("another") })
  expect([second.ran, second.imageId]).toEqual([[], first.imageId])
  expect(await ground.read(directory, "/n", { secrets: secrets("x") })).toBe("15\n")
  expect(
    JSON.stringify([first.events, ground.builder().history(), await ground.builder().usage()]),
  ).not.toContain("hunter")
  await expect(ground.build(directory, { noCache: true })).rejects.toThrow("token")
})

test("arguments count where they are seen, hosts and limits for commands", async () => {
  const directory = ground.context({
    Dockerfile: lines("FROM busybox", "RUN echo before", "ARG WHO=a", "RUN echo $WHO > /who"),
  })
  await ground.build(directory)
  const other = await ground.build(directory, { buildArgs: new Map([["WHO", "b"]]) })
  expect(other.ran).toEqual(["[3/3] RUN echo b > /who"])
  expect((await ground.build(directory, { extraHosts: ["there:10.1.2.3"] })).ran.length).toBe(2)
  expect((await ground.build(directory, { shmSize: 1 << 20 })).ran.length).toBe(2)
  expect((await ground.build(directory)).ran).toEqual([])
})

test("an image in the store is no cache: its history is not believed", async () => {
  const { images } = ground.composed().engine
  const directory = ground.context({ Dockerfile: lines("FROM busybox", "RUN echo honest > /who") })
  // Looks like the image that the Dockerfile would make, with other files in it.
  const bait = ground.context({ Dockerfile: lines("FROM busybox", "RUN echo evil > /who") })
  const built = await ground.build(bait, { name: "bait:1" })
  const image = await images.get(built.imageId)
  const history = image.history.map((step, at) =>
    at === image.history.length - 1
      ? { ...step, createdBy: "RUN /bin/sh -c echo honest > /who # buildkit" }
      : step,
  )
  const { document: _, ...config } = image
  await images.register({
    config: { ...config, history },
    layers: image.layers,
    chainId: image.chainId,
    parent: "",
    names: ["bait:2"],
  })
  expect(await ground.read(directory, "/who", { cacheFrom: [] })).toBe("honest\n")
})

test("the same inputs on another day in another directory give the same image, with SOURCE_DATE_EPOCH", async () => {
  const files = {
    Dockerfile: lines("FROM busybox", "COPY . /all", "RUN echo made > /made; mkdir -p /d/e", "WORKDIR /w"),
    a: "a",
    "b/c": "c",
  }
  const buildArgs = new Map([["SOURCE_DATE_EPOCH", "1500000000"]])
  const first = ground.context(files)
  const one = await ground.build(first, { buildArgs })
  await ground.builder().prune({ all: true })
  const second = ground.context(files)
  utimesSync(join(second, "a"), 1_700_000_000, 1_700_000_000)
  await Bun.sleep(1100)
  const other = await ground.build(second, { buildArgs, noCache: true })
  expect(other.ran.length).toBe(3)
  expect(other.imageId).toBe(one.imageId)
})

test("pruning gives back what it says; what an image needs stays until it is removed", async () => {
  const builder = ground.builder()
  await builder.prune({ all: true })
  const directory = ground.context({
    Dockerfile: lines(
      "FROM busybox",
      "RUN head -c 3000000 /dev/urandom > /big",
      "RUN head -c 1000000 /dev/urandom > /more",
    ),
  })
  await ground.build(directory, { name: "big:1" })
  const rows = await builder.usage()
  expect(rows.map(({ shared, inUse }) => [shared, inUse])).toEqual([
    [true, false],
    [true, false],
  ])
  expect(rows[1]?.parents).toEqual([rows[0]?.id ?? ""])
  expect(await builder.prune({ all: false })).toEqual({ removed: [], reclaimed: 0 })
  const { engine } = ground.composed()
  const layers = async () => [...(await engine.diskUse()).layers.values()].reduce((sum, one) => sum + one, 0)
  const before = await layers()
  await engine.removeImage("big:1", { force: false, prune: true })
  expect((await builder.usage()).map(({ shared }) => shared)).toEqual([false, false])
  const during = await layers()
  expect(during).toBe(before)
  const { removed, reclaimed } = await builder.prune({ all: false })
  expect(removed).toEqual([rows[1]?.id ?? "", rows[0]?.id ?? ""])
  expect(reclaimed).toBeGreaterThan(4_000_000)
  // What was prepared for containers over these layers goes as well.
  expect(Math.abs(during - (await layers()) - reclaimed)).toBeLessThan(65_536)
})

test("filters and a size to keep choose what goes; the step that others stand on goes last", async () => {
  const builder = ground.builder()
  await builder.prune({ all: true })
  const big = (name: string) => `RUN head -c 1000000 /dev/urandom > /${name}`
  const directory = ground.context({ Dockerfile: lines("FROM busybox", big("a"), big("b"), big("c")) })
  const { imageId } = await ground.build(directory)
  await ground.composed().engine.removeImage(imageId, { force: true, prune: true })
  const rows = await builder.usage()
  expect(rows.length).toBe(3)
  expect((await builder.prune({ all: true, unusedSince: Date.now() - 3_600_000 })).removed).toEqual([])
  expect((await builder.prune({ all: true, description: [big("a")] })).removed).toEqual([])
  expect((await builder.usage({ id: [rows[0]?.id ?? "none"] })).length).toBe(1)
  const { removed } = await builder.prune({ all: true, keepBytes: 2_500_000 })
  expect(removed).toEqual([rows[2]?.id ?? ""])
  expect((await ground.build(directory)).ran.length).toBe(1)
  expect(await builder.trim(1)).toBe(0)
})

test("what a running build stands on is not pruned", async () => {
  const builder = ground.builder()
  await builder.prune({ all: true })
  const directory = ground.context({
    Dockerfile: lines("FROM busybox", "RUN echo kept > /kept", "RUN sleep 0.5"),
  })
  const building = ground.build(directory)
  await Bun.sleep(250)
  expect((await builder.prune({ all: true })).removed).toEqual([])
  await building
  expect((await ground.build(directory)).ran).toEqual([])
})

test("history remembers how builds ended, and forgets when told", async () => {
  const directory = ground.context({ Dockerfile: lines("FROM busybox", "RUN true") })
  const told: string[] = []
  const stop = ground.builder().onHistory(({ kind, record }) => told.push(`${kind} ${record.id}`))
  const { imageId } = await ground.build(directory, { id: "remembered" })
  expect(ground.builder().history().at(-1)).toMatchObject({ id: "remembered", imageId, error: "", steps: 1 })
  ground.builder().forget("remembered")
  stop()
  expect(told).toEqual(["started remembered", "complete remembered", "deleted remembered"])
  expect(
    ground
      .builder()
      .history()
      .some(({ id }) => id === "remembered"),
  ).toBe(false)
})
