// Every case of the corpus, built by Sloop both ways, beside what the real builders made of it.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { casesOf, differences, type Judge, readExpected } from "./cases.ts"
import { type CaseFacts, mergedFiles } from "./image-facts.ts"
import { startOurs } from "./ours.ts"

let ours: Awaited<ReturnType<typeof startOurs>>
beforeAll(async () => {
  ours = await startOurs()
}, 60_000)
afterAll(() => ours?.close(), 60_000)

const excused = differences()

/**
 * What a judge is compared by. BuildKit: everything. The classic builder cuts layers otherwise (an empty one for a step
 * that changes nothing, one for a WORKDIR) and stores times of parents, so the files that remain are compared.
 */
const comparable = (judge: Judge, facts: CaseFacts): unknown => {
  if ("error" in facts) return facts
  if (judge === "buildkit") return facts
  return { config: facts.config, files: mergedFiles(facts.layers) }
}

test("differences are told of cases that exist", () => {
  for (const judge of ["buildkit", "classic"] as const) {
    const names = new Set(casesOf(judge).map(({ name }) => name))
    expect(Object.keys(excused[judge]).filter((name) => !names.has(name))).toEqual([])
  }
})

for (const judge of ["buildkit", "classic"] as const) {
  for (const one of casesOf(judge)) {
    const reason = excused[judge][one.name]
    test.concurrent(`${judge}: ${one.name}${reason === undefined ? "" : ` (differs: ${reason})`}`, async () => {
      const made = comparable(judge, await ours[judge].build(one))
      const wanted = comparable(judge, readExpected(judge, one.name))
      if (reason === undefined) expect(made).toEqual(wanted)
      else expect(made).not.toEqual(wanted)
    }, 120_000)
  }
}
