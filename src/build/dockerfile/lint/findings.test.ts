import { expect, test } from "bun:test"
import { openFindings, readCheckOptions } from "./findings.ts"

const place = { first: 1, last: 1 }

test("check options are read", () => {
  expect(readCheckOptions("")).toMatchObject({ skip: [], skipAll: false, error: false })
  expect(readCheckOptions(" skip = A , B ; error = true ")).toMatchObject({ skip: ["A", "B"], error: true })
  expect(readCheckOptions("skip=all;experimental=all;error=0")).toMatchObject({
    skipAll: true,
    experimentalAll: true,
    error: false,
  })
})

// BuildKit's words.
const refusals: readonly (readonly [text: string, message: string])[] = [
  ["skip", 'invalid check option "skip"'],
  ["warn=x", 'invalid check option "warn"'],
  [
    "error=maybe",
    'failed to parse check option "error=maybe": strconv.ParseBool: parsing "maybe": invalid syntax',
  ],
]
for (const [text, message] of refusals)
  test(`${text} is refused`, () => {
    expect(() => readCheckOptions(text)).toThrow(`failed to parse check options: ${message}`)
  })

test("skipped rules find nothing, experimental ones only when they are let in", () => {
  const skipping = openFindings(readCheckOptions("skip=StageNameCasing"))
  skipping.report("StageNameCasing", place, "A")
  skipping.report("MaintainerDeprecated", place)
  skipping.report("InvalidDefinitionDescription", place, "ARG", "a")
  expect(skipping.all.map(({ rule }) => rule)).toEqual(["MaintainerDeprecated"])
  const all = openFindings(readCheckOptions("skip=all;experimental=InvalidDefinitionDescription"))
  all.report("MaintainerDeprecated", place)
  all.report("InvalidDefinitionDescription", place, "ARG", "a")
  expect(all.all.map(({ rule }) => rule)).toEqual(["InvalidDefinitionDescription"])
})

test("a comment adds options for its instruction alone", () => {
  const findings = openFindings(readCheckOptions(""))
  const under = findings.under(["it is old", "check=skip=MaintainerDeprecated // but needed"])
  under.report("MaintainerDeprecated", place)
  under.report("StageNameCasing", place, "A")
  findings.under(["check=nonsense"]).report("MaintainerDeprecated", place)
  expect(findings.all.map(({ rule }) => rule)).toEqual(["StageNameCasing", "MaintainerDeprecated"])
})

test("findings fail a build only when that is asked for", () => {
  const strict = openFindings(readCheckOptions("error=true"))
  strict.enforce()
  strict.report("StageNameCasing", place, "A")
  strict.report("MaintainerDeprecated", place)
  strict.report("StageNameCasing", place, "B")
  expect(() => strict.enforce()).toThrow(
    "lint violation found for rules: StageNameCasing, MaintainerDeprecated",
  )
  const lenient = openFindings(readCheckOptions(""))
  lenient.report("MaintainerDeprecated", place)
  lenient.enforce()
})
