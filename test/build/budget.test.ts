// The cache is kept within its budget by itself, and gives way before any image when the disk budget is spent.
import { expect, test } from "bun:test"
import { eventually } from "../fixtures/engine.ts"
import { startBuildGround } from "./ground.ts"

const big = (name: string) => `FROM busybox\nRUN head -c 2000000 /dev/urandom > /${name}\n`

test("beyond --build-cache-budget the step that was used least recently goes", async () => {
  const ground = await startBuildGround(["--build-cache-budget", "5MB"])
  try {
    for (const name of ["a", "b", "c"]) {
      const { imageId } = await ground.build(ground.context({ Dockerfile: big(name) }))
      await ground.composed().engine.removeImage(imageId, { force: true, prune: true })
    }
    expect((await ground.builder().usage()).length).toBe(3)
    await eventually("the oldest step is gone", async () => (await ground.builder().usage()).length === 2)
    const left = await ground.builder().usage()
    expect(left.map(({ description }) => description.at(-1))).toEqual(["b", "c"])
  } finally {
    await ground.close()
  }
}, 60_000)

test("beyond --disk-budget cache goes, and dangling images stay while that is enough", async () => {
  const ground = await startBuildGround(["--disk-budget", "7MB"])
  try {
    const { engine } = ground.composed()
    const first = await ground.build(ground.context({ Dockerfile: big("a") }))
    const second = await ground.build(ground.context({ Dockerfile: big("b") }))
    await engine.removeImage(first.imageId, { force: true, prune: true })
    await ground.build(ground.context({ Dockerfile: big("c") }), { name: "kept:1" })
    await eventually("cache without an image is gone", async () =>
      (await ground.builder().usage()).every(({ shared }) => shared),
    )
    expect((await engine.images.list()).map(({ id }) => id)).toContain(second.imageId)
  } finally {
    await ground.close()
  }
}, 60_000)
