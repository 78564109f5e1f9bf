// Many builds at once, some cancelled, with pruning and removal of images beside them: every image that was told of is whole.
import { afterAll, expect, test } from "bun:test"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { errorKind, errorMessage } from "../../src/base/errors.ts"
import { lines, startBuildGround } from "./ground.ts"

const ground = await startBuildGround()
afterAll(() => ground.close(), 60_000)

test("builds, cancels, prunes and removals at the same time", async () => {
  const contexts = Array.from({ length: 6 }, (_, at) =>
    ground.context({
      Dockerfile: lines(
        "FROM busybox AS tools",
        `RUN sleep 0.0${at % 3}; echo tool > /tool`,
        "FROM busybox",
        `COPY file /file`,
        "RUN cat /file > /copied",
        "COPY --link --from=tools /tool /tool",
        `RUN cat /copied /tool > /all-${at % 3}`,
      ),
      file: `file ${at % 2}\n`,
    }),
  )
  const { engine, builder } = ground.composed()
  const failures: string[] = []
  let cancelled = 0
  let finished = 0
  const one = async (round: number): Promise<void> => {
    const directory = contexts[round % contexts.length] ?? ""
    const controller = new AbortController()
    if (round % 4 === 3) setTimeout(() => controller.abort(), 20 + ((round * 37) % 120))
    try {
      const name = `at-once:${round}`
      await ground.build(directory, { name, signal: controller.signal, noCache: round % 5 === 0 })
      const image = await engine.images.get(name)
      const containers = await engine.containers.list({ all: true, filters: new Map() })
      expect(containers).toEqual([])
      expect(image.layers.length).toBe(5)
      finished++
      if (round % 3 === 0) await engine.removeImage(name, { force: false, prune: true })
    } catch (error) {
      if (errorKind(error) === "cancelled" && controller.signal.aborted) cancelled++
      else failures.push(`${round}: ${errorMessage(error)}`)
    }
  }
  let pruning = true
  const prunes = (async () => {
    while (pruning) {
      await builder.prune({ all: true })
      await Bun.sleep(15)
    }
  })()
  await Promise.all(Array.from({ length: 40 }, (_, round) => Bun.sleep(round * 8).then(() => one(round))))
  pruning = false
  await prunes
  expect(failures).toEqual([])
  expect(finished).toBeGreaterThan(25)
  expect(cancelled).toBeGreaterThan(0)
  // What was told of is whole: every image can be read to its last file.
  for (const image of await engine.images.list()) {
    if (!image.tags.some((tag) => tag.startsWith("at-once"))) continue
    let bytes = 0
    for await (const chunk of engine.images.save([image.id])) bytes += chunk.length
    expect(bytes).toBeGreaterThan(1_000_000)
  }
  const left = join(ground.root, "run", "b")
  expect(existsSync(left) ? readdirSync(left) : []).toEqual([])
  expect(readdirSync(join(ground.root, "data", "build", "layers"))).toEqual([])
  expect(builder.history().filter(({ endedAt }) => endedAt === 0)).toEqual([])
}, 60_000)
