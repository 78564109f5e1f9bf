// The solver over fake operations: what runs, what does not, what is shared, and how builds end.
import { expect, test } from "bun:test"
import { errorKind, failure } from "../../base/errors.ts"
import { BuildFailure } from "../failure.ts"
import type { HttpNode } from "../graph/graph.ts"
import type { BuildEvent } from "../progress.ts"
import { plainBuild } from "../testing/plain-build.ts"
import { context, contextOf, copy, fakeGround, run } from "./testing/fakes.ts"

test("steps that do not depend on each other run at the same time, as many as are allowed", async () => {
  using ground = fakeGround(3)
  const stages = [1, 2, 3, 4].map((n) => run(`sleep 40 ${n}`))
  const last = stages.reduce((root, stage) => copy(stage, root), copy(run("base")))
  const started = performance.now()
  await ground.solve([last])
  expect(performance.now() - started).toBeLessThan(160)
  expect(ground.most()).toBe(3)
  expect(ground.ran.filter((words) => words.startsWith("sleep")).length).toBe(4)
})

test("a step that two others begin from runs once, and what nobody needs does not run", async () => {
  using ground = fakeGround()
  const base = run("base")
  run("unneeded", base)
  await ground.solve([copy(run("one", base), run("two", base))])
  expect(ground.ran.toSorted()).toEqual(["base", "copy", "one", "two"])
})

test("the same build again takes every step from the cache, with the same layers", async () => {
  using ground = fakeGround()
  const wanted = run("two", copy(context(), run("one")))
  const contexts = { "": contextOf({ text: "files" }) }
  const first = await ground.solve([wanted], { contexts })
  const again = await ground.solve([wanted], { contexts })
  expect(ground.ran).toEqual(["one", "copy", "two"])
  expect(await again.solved.layersOf(wanted)).toEqual(await first.solved.layersOf(wanted))
  expect(again.solved.counts).toEqual({ steps: 3, cached: 3 })
  const cached = again.events.filter((event) => event.type === "vertex" && event.vertex.cached)
  expect(cached.length).toBe(3)
  expect(again.solved.steps.map(({ description }) => description)).toEqual(["RUN one", "COPY", "RUN two"])
  expect(again.solved.steps[2]?.inputs).toEqual([again.solved.steps[1]?.key ?? ""])
})

test("other contents make the copy and what follows run, the same contents elsewhere do not", async () => {
  using ground = fakeGround()
  const wanted = run("two", copy(context(), run("one")))
  await ground.solve([wanted], { contexts: { "": contextOf({ text: "files" }) } })
  await ground.solve([wanted], { contexts: { "": contextOf({ text: "other" }) } })
  expect(ground.ran).toEqual(["one", "copy", "two", "copy", "two"])
  await ground.solve([wanted], { contexts: { "": contextOf({ text: "files" }) } })
  expect(ground.ran.length).toBe(5)
})

test("what was made of a context that changed meanwhile is no cache", async () => {
  using ground = fakeGround()
  const word = { text: "files", steady: false }
  for (const _ of [1, 2]) await ground.solve([copy(context())], { contexts: { "": contextOf(word) } })
  expect(ground.ran).toEqual(["copy", "copy"])
  word.steady = true
  for (const _ of [1, 2]) await ground.solve([copy(context())], { contexts: { "": contextOf(word) } })
  expect(ground.ran.length).toBe(3)
})

test("a fresh step runs and is recorded; a record whose layers are gone is none", async () => {
  using ground = fakeGround()
  const one = run("one")
  await ground.solve([one])
  await ground.solve([run("one", "scratch", { fresh: true })])
  await ground.solve([one])
  expect(ground.ran).toEqual(["one", "one"])
  ground.committed.clear()
  await ground.solve([one])
  expect(ground.ran.length).toBe(3)
})

test("a step that changes nothing gives its root, and is cached too", async () => {
  using ground = fakeGround()
  const base = run("one")
  const wanted = run("nothing", base)
  const { solved } = await ground.solve([wanted])
  expect(await solved.layersOf(wanted)).toEqual(await solved.layersOf(base))
  await ground.solve([wanted])
  expect(ground.ran).toEqual(["one", "nothing"])
})

test("an independent layer is made once and put over any root", async () => {
  using ground = fakeGround()
  const contexts = { "": contextOf({ text: "files" }) }
  const linked = (root: string) => copy(context(), run(root), { independent: true, digest: `linked ${root}` })
  const first = await ground.solve([linked("one")], { contexts })
  const second = await ground.solve([linked("two")], { contexts })
  expect(ground.ran.toSorted()).toEqual(["copy", "one", "two"])
  const [a, b] = [await first.solved.layersOf(linked("one")), await second.solved.layersOf(linked("two"))]
  expect(a.layers.at(-1)).toEqual(b.layers.at(-1) ?? { diffId: "", blob: "", size: 0 })
  expect(a.chainId).not.toBe(b.chainId)
  expect(ground.committed.has(a.chainId) && ground.committed.has(b.chainId)).toBe(true)
})

test("the first failure ends everything else before it is told, with its place", async () => {
  using ground = fakeGround()
  const place = { first: 3, last: 4 }
  const failing = run("fail", run("sleep 10"), { place })
  const error = await ground.solve([copy(run("sleep 5000"), failing)]).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(BuildFailure)
  expect(error).toMatchObject({ message: 'process "fail" did not complete successfully', detail: { place } })
  expect(ground.ended).toEqual(["sleep 5000"])
  expect(ground.steps()).toBe(0)
})

test("what did not finish is not recorded; what did is", async () => {
  using ground = fakeGround()
  await ground.solve([run("fail", run("one"))]).catch(() => {})
  await ground.solve([run("fail", run("one"))]).catch(() => {})
  expect(ground.ran).toEqual(["one", "fail", "fail"])
})

test("a cancelled build has ended everything when it says so", async () => {
  using ground = fakeGround()
  const controller = new AbortController()
  const solving = ground.solve([run("sleep 5000")], { signal: controller.signal })
  await Bun.sleep(10)
  controller.abort()
  const error = await solving.catch((thrown: unknown) => thrown)
  expect(errorKind(error)).toBe("cancelled")
  expect(ground.ended).toEqual(["sleep 5000"])
})

test("two builds that want a step at once share it, with its output; one that is cancelled does not end it", async () => {
  using ground = fakeGround()
  const controller = new AbortController()
  const first = ground.solve([run("sleep 60")], { signal: controller.signal })
  await Bun.sleep(10)
  const second = ground.solve([run("sleep 60")])
  await Bun.sleep(10)
  controller.abort()
  expect(errorKind(await first.catch((thrown: unknown) => thrown))).toBe("cancelled")
  const { events } = await second
  expect(ground.ran).toEqual(["sleep 60"])
  expect(ground.ended).toEqual([])
  expect(events.some((event) => event.type === "log")).toBe(true)
})

test("builds do not share steps that get secrets, nor fresh ones", async () => {
  using ground = fakeGround()
  const secret = { type: "secret", id: "s", required: false, mode: 0, uid: 0, gid: 0 } as const
  const both = (more: Parameters<typeof run>[2]) =>
    Promise.all([
      ground.solve([run("sleep 20", "scratch", more)]),
      ground.solve([run("sleep 20", "scratch", more)]),
    ])
  await both({ mounts: [secret] })
  expect(ground.ran.length).toBe(2)
  await both({ fresh: true })
  expect(ground.ran.length).toBe(4)
})

test("the classic face has a cache of its own", async () => {
  using ground = fakeGround()
  await ground.solve([run("one")])
  await ground.solve([run("one")], { request: plainBuild({ face: "classic" }) })
  expect(ground.ran).toEqual(["one", "one"])
})

test("an address that cannot be asked fails under its own vertex", async () => {
  using ground = fakeGround()
  const { root, platform } = run("none")
  const address: HttpNode = {
    ...{ type: "http", url: "http://x/y", checksum: "", filename: "y", name: "ADD http://x/y /", platform },
    ...{ digest: "sha256:address", definition: "sha256:definition", fresh: false },
  }
  const events: BuildEvent[] = []
  const remoteKey = () => Promise.reject(failure("invalid", "invalid response status 404"))
  await expect(ground.solve([copy(address, root)], { events, remoteKey })).rejects.toThrow("status 404")
  const errors = events.flatMap((event) =>
    event.type === "vertex" && event.vertex.error !== "" ? [[event.vertex.name, event.vertex.error]] : [],
  )
  expect(errors).toEqual([["ADD http://x/y /", "invalid response status 404"]])
})
