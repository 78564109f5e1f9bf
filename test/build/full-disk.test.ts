// A disk that fills up during a build: one sentence, nothing half made, and the next build goes on when there is room.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { errorKind, errorMessage } from "../../src/base/errors.ts"
import { eventually } from "../fixtures/engine.ts"
import { type BuildGround, lines, startBuildGround } from "./ground.ts"

const small = mkdtempSync("/tmp/slf-")
let ground: BuildGround
beforeAll(async () => {
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=100m,mode=700", "slf", small])
  if (mounted.status !== 0) throw new Error(`no small disk: ${mounted.stderr}`)
  ground = await startBuildGround(["--data-root", small])
}, 60_000)
afterAll(async () => {
  await ground?.close()
  spawnSync("umount", ["-l", small])
  rmSync(small, { recursive: true, force: true })
}, 60_000)

const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => "it went well",
    (error: unknown) => error,
  )
const used = (): number => {
  const { blocks, bfree, bsize } = statfsSync(small)
  return (blocks - bfree) * bsize
}

test("a step that fills the disk, and one whose layer does", async () => {
  const directory = ground.context({
    Dockerfile: lines("FROM busybox", "RUN date +%N > /first", "RUN head -c 200m /dev/zero > /big"),
  })
  const before = used()
  const filled = await failureOf(ground.build(directory))
  expect(errorMessage(filled)).toContain("did not complete successfully: exit code: 1")
  await eventually("there is room again", () => used() - before < 4_000_000)
  writeFileSync(
    join(directory, "Dockerfile"),
    lines("FROM busybox", "RUN date +%N > /first", "RUN head -c 45m /dev/urandom > /big"),
  )
  const uncommitted = await failureOf(ground.build(directory))
  expect(errorKind(uncommitted)).toBe("exhausted")
  expect(errorMessage(uncommitted)).toMatch(/no space left/)
  await eventually("the disk is as it was", () => used() - before < 4_000_000)
  expect(readdirSync(join(ground.root, "run", "b"))).toEqual([])
  // A context that does not fit.
  const large = ground.context({
    Dockerfile: lines("FROM busybox", "COPY large /"),
    large: Buffer.alloc(120_000_000, "x"),
  })
  expect(errorKind(await failureOf(ground.build(large)))).toBe("exhausted")
  await eventually("the disk is as it was once more", () => used() - before < 4_000_000)
  writeFileSync(
    join(directory, "Dockerfile"),
    lines("FROM busybox", "RUN date +%N > /first", "RUN echo small > /s"),
  )
  const built = await ground.build(directory, { name: "small:1" })
  expect(built.cached).toContain("[2/3] RUN date +%N > /first")
  expect(
    ground
      .builder()
      .history()
      .filter(({ error }) => error !== "").length,
  ).toBe(3)
}, 60_000)
