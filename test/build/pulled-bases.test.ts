// Base images at a registry: pulled when a step over them must run, and only then; what was cached above them outlives them.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { hasDockerRegistry, startRegistry, type TestRegistry } from "../fixtures/docker-registry.ts"
import { type BuildGround, lines, startBuildGround } from "./ground.ts"

let ground: BuildGround
let registry: TestRegistry
beforeAll(async () => {
  if (!hasDockerRegistry()) return
  registry = await startRegistry()
  ground = await startBuildGround()
}, 60_000)
afterAll(async () => {
  await ground?.close()
  await registry?.close()
}, 60_000)

test.skipIf(!hasDockerRegistry())(
  "a base that is gone is not pulled for what is cached; the image is whole all the same",
  async () => {
    const { images } = ground.composed().engine
    const base = `${registry.host}/team/base:1`
    const pushed = ground.context({ Dockerfile: lines("FROM busybox", "RUN echo base > /base") })
    await ground.build(pushed, { name: base })
    await images.push({ reference: base }, () => {})
    const { engine } = ground.composed()
    const removeAll = async () => {
      for (const image of await images.list())
        if (!image.tags.includes("busybox:latest"))
          await engine.removeImage(image.id, { force: true, prune: true })
    }
    await removeAll()
    await ground.builder().prune({ all: true })

    const child = ground.context({
      Dockerfile: lines(
        `FROM ${base} AS tools`,
        "RUN cat /base > /tool",
        `FROM ${base}`,
        "COPY --from=tools /tool /",
      ),
    })
    const first = await ground.build(child, { name: "child:1" })
    expect(first.ran.filter((name) => name.includes("FROM")).length).toBe(1)
    expect(await ground.read(child, "/tool")).toBe("base\n")
    await removeAll()
    const again = await ground.build(child, { name: "child:2" })
    expect([again.ran, again.imageId]).toEqual([[], first.imageId])
    let bytes = 0
    for await (const chunk of images.save(["child:2"])) bytes += chunk.length
    expect(bytes).toBeGreaterThan(1_000_000)
    // And to a registry, whose layers it has never seen as blobs.
    await images.tag("child:2", `${registry.host}/team/child:2`)
    await images.push({ reference: `${registry.host}/team/child:2` }, () => {})
    expect(await images.list().then((all) => all.some(({ tags }) => tags.includes(base)))).toBe(false)
  },
  60_000,
)
