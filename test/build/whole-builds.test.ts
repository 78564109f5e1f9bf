// Whole builds on a real kernel: what runs, what comes from the cache, what the images are, and that nothing is left behind.
import { afterAll, expect, test } from "bun:test"
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { errorKind, errorMessage } from "../../src/base/errors.ts"
import { BuildFailure } from "../../src/build/build.ts"
import { lines, startBuildGround } from "./ground.ts"

const ground = await startBuildGround()
afterAll(() => ground.close(), 60_000)

/** Mounts and directories of steps that are still there. */
const leftovers = (): string[] => {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(`${ground.root}/`))
  const directory = join(ground.root, "run", "b")
  return [...mounts, ...(existsSync(directory) ? readdirSync(directory) : [])]
}

test("FROM, RUN, COPY, CMD: an image of the steps' layers, known under its name, with its history", async () => {
  const directory = ground.context({
    Dockerfile: lines(
      "FROM busybox",
      "RUN echo made > /made",
      "COPY hello /there/hello",
      "ENV A=b",
      'CMD ["cat", "/there/hello"]',
    ),
    hello: "hello\n",
  })
  const built = await ground.build(directory, { name: "first:1" })
  expect(built.ran).toEqual(["[2/3] RUN echo made > /made", "[3/3] COPY hello /there/hello"])
  const image = await ground.composed().engine.images.get("first:1")
  expect(image.id).toBe(built.imageId)
  expect(image.layers.length).toBe(3)
  expect(image.diffIds).toEqual(image.layers.map(({ diffId }) => diffId))
  expect(image.config.command).toEqual(["cat", "/there/hello"])
  expect(image.config.env).toContain("A=b")
  expect(image.history.slice(-4).map(({ createdBy, emptyLayer }) => [createdBy, emptyLayer])).toEqual([
    ["RUN /bin/sh -c echo made > /made # buildkit", false],
    ["COPY hello /there/hello # buildkit", false],
    ["ENV A=b", true],
    ['CMD ["cat" "/there/hello"]', true],
  ])
  expect(await ground.read(directory, "/there/hello")).toBe("hello\n")
  expect(await ground.read(directory, "/made")).toBe("made\n")
})

test("built again, everything comes from the cache and the image is the very same", async () => {
  const files = { Dockerfile: lines("FROM busybox", "RUN date +%N > /when", "COPY . /all"), a: "a", b: "b" }
  const directory = ground.context(files)
  const first = await ground.build(directory)
  const again = await ground.build(directory)
  expect(again.imageId).toBe(first.imageId)
  expect(again.ran).toEqual([])
  // The same files elsewhere are the same, whatever their times.
  const other = ground.context(files)
  utimesSync(join(other, "a"), 1, 1)
  expect((await ground.build(other)).imageId).toBe(first.imageId)
  writeFileSync(join(other, "a"), "changed")
  const changed = await ground.build(other)
  expect(changed.ran).toEqual(["[3/3] COPY . /all"])
  expect(changed.imageId).not.toBe(first.imageId)
})

test("the cache is there after the engine was closed and opened", async () => {
  const directory = ground.context({ Dockerfile: lines("FROM busybox", "RUN date +%N > /reopened") })
  const first = await ground.build(directory)
  await ground.reopen()
  const again = await ground.build(directory)
  expect([again.imageId, again.ran]).toEqual([first.imageId, []])
})

test("stages run at the same time, and what the target does not need does not run", async () => {
  const stage = (n: number) => lines(`FROM busybox AS s${n}`, `RUN sleep 0.4 && echo ${n} > /out`)
  const directory = ground.context({
    Dockerfile:
      [1, 2, 3, 4].map(stage).join("") +
      lines("FROM busybox AS unneeded", "RUN false", "FROM busybox") +
      [1, 2, 3, 4].map((n) => `COPY --from=s${n} /out /out${n}\n`).join(""),
  })
  const built = await ground.build(directory)
  expect(built.milliseconds).toBeLessThan(1200)
  expect(built.ran.some((name) => name.includes("unneeded"))).toBe(false)
  expect(await ground.read(directory, "/out3")).toBe("3\n")
})

test("a failing RUN tells its output, its exit code and its lines; what ran before it is kept", async () => {
  const directory = ground.context({
    Dockerfile: lines("FROM busybox", "RUN echo before", "RUN echo told; \\", "    exit 7"),
  })
  let output = ""
  const error = await ground
    .build(directory, {
      report: (event) => {
        if (event.type === "log") output += Buffer.from(event.bytes).toString()
      },
    })
    .catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(BuildFailure)
  expect(errorMessage(error)).toBe(
    'process "/bin/sh -c echo told;     exit 7" did not complete successfully: exit code: 7',
  )
  expect(error).toMatchObject({ detail: { place: { first: 3, last: 4 }, exitCode: 7, file: "Dockerfile" } })
  expect(output).toContain("told\n")
  writeFileSync(join(directory, "Dockerfile"), lines("FROM busybox", "RUN echo before", "RUN true"))
  expect((await ground.build(directory)).cached).toContain("[2/3] RUN echo before")
  expect(leftovers()).toEqual([])
})

test("a missing Dockerfile and a missing source are told in BuildKit's words", async () => {
  const messageOf = (files: Record<string, string>, more = {}) =>
    ground.build(ground.context(files), more).then(
      () => "",
      (error: unknown) => errorMessage(error),
    )
  expect(await messageOf({ x: "" })).toBe(
    "failed to read dockerfile: open Dockerfile: no such file or directory",
  )
  expect(await messageOf({ x: "" }, { dockerfilePath: "sub/Other" })).toBe(
    "failed to read dockerfile: open Other: no such file or directory",
  )
  expect(await messageOf({ Dockerfile: lines("FROM busybox", "COPY missing /") })).toMatch(
    /^failed to compute cache key: failed to calculate checksum of ref \S+: "\/missing": not found$/,
  )
})

test("the Dockerfile's own ignore file comes before the context's", async () => {
  const directory = ground.context({
    Dockerfile: lines("FROM busybox", "COPY . /c", "RUN ls /c > /list"),
    ".dockerignore": "a\n",
    "Other.dockerignore": "b\n",
    Other: lines("FROM busybox", "COPY . /c", "RUN ls /c > /list"),
    a: "",
    b: "",
  })
  expect((await ground.read(directory, "/list")).split("\n")).not.toContain("a")
  const other = (await ground.read(directory, "/list", { dockerfilePath: "Other" })).split("\n")
  expect(other).toContain("a")
  expect(other).not.toContain("b")
})

test("a cancelled build leaves nothing that runs, and the next one begins after the last finished step", async () => {
  const directory = ground.context({
    Dockerfile: lines("FROM busybox", "RUN date +%N > /first", "RUN sleep 30"),
  })
  const controller = new AbortController()
  const error = await ground
    .build(directory, {
      signal: controller.signal,
      report: (event) => {
        if (event.type === "vertex" && event.vertex.name.includes("sleep") && event.vertex.startedAt)
          setTimeout(() => controller.abort(), 100)
      },
    })
    .catch((thrown: unknown) => thrown)
  expect(errorKind(error)).toBe("cancelled")
  expect(leftovers()).toEqual([])
  writeFileSync(join(directory, "Dockerfile"), lines("FROM busybox", "RUN date +%N > /first", "RUN true"))
  expect((await ground.build(directory)).cached).toContain("[2/3] RUN date +%N > /first")
  const [record] = ground.builder().history().slice(-2)
  expect(record).toMatchObject({ error: "context canceled" })
})

test("two builds at once share a step, by id one of them is cancelled", async () => {
  const directory = ground.context({
    Dockerfile: lines("FROM busybox", "RUN sleep 0.5; date +%N > /shared"),
  })
  const both = [ground.build(directory, { id: "one-of-two" }), ground.build(directory, { id: "two-of-two" })]
  const [first, second] = await Promise.all(both)
  expect(first?.imageId).toBe(second?.imageId ?? "")
  const third = ground.build(directory, { id: "third-build", noCache: true })
  await Bun.sleep(150)
  expect(ground.builder().cancel("third-build")).toBe(true)
  expect(errorKind(await third.catch((error: unknown) => error))).toBe("cancelled")
  expect(ground.builder().cancel("third-build")).toBe(false)
})

test("--link keeps its layer on another base", async () => {
  const at = (base: string) =>
    ground.context({
      Dockerfile: lines("FROM busybox", `RUN echo ${base} > /base`, "COPY --link hello /hello"),
      hello: "linked",
    })
  const first = await ground.build(at("one"))
  const second = await ground.build(at("two"))
  expect(second.ran).toEqual(["[2/3] RUN echo two > /base"])
  const images = await Promise.all(
    [first, second].map(({ imageId }) => ground.composed().engine.images.get(imageId)),
  )
  expect(images[0]?.layers.at(-1)?.diffId).toBe(images[1]?.layers.at(-1)?.diffId ?? "")
})

test("--no-cache runs everything, --no-cache-filter a stage; what is not needed any more is gone", async () => {
  const directory = ground.context({
    Dockerfile: lines(
      "FROM busybox AS one",
      "RUN date +%N > /one",
      "FROM busybox AS two",
      "RUN date +%N > /two",
      "COPY --from=one /one /",
    ),
  })
  await ground.build(directory)
  const rows = (await ground.builder().usage()).length
  expect((await ground.build(directory, { noCacheFilter: ["one"] })).cached).toContain(
    "[two 2/3] RUN date +%N > /two",
  )
  expect((await ground.build(directory, { noCache: true })).cached.some((name) => name.includes("RUN"))).toBe(
    false,
  )
  // A copy of other contents is one row more.
  expect((await ground.builder().usage()).length).toBeLessThanOrEqual(rows + 2)
})
