import { expect, test } from "bun:test"
import { rules } from "../dockerfile/lint/rules.ts"
import { leavesOut } from "../ignore/copied.ts"
import { ignoreMatcher } from "../ignore/ignore.ts"
import { lintCases } from "./testing/lint-cases.ts"
import { check } from "./testing/plan.ts"

for (const { name, dockerfile, findings, error } of lintCases)
  test(`lint ${name}: what BuildKit finds, and nothing else`, async () => {
    const found = await check(dockerfile)
    const lines = found.findings.map(
      ({ rule, place, message }) => `${rule} ${place.first}-${place.last}: ${message}`,
    )
    expect(lines.sort()).toEqual([...findings])
    expect(found.error?.message).toBe(error as string)
    expect(found.answer.statusCode).toBe(findings.length > 0 || error !== undefined ? 1 : 0)
  })

test("every rule is found by a case", () => {
  const found = new Set(lintCases.flatMap(({ findings }) => findings.map((line) => line.split(" ", 1)[0])))
  const elsewhere = ["CopyIgnoredFile", "InvalidBaseImagePlatform"]
  expect(Object.keys(rules).filter((rule) => !found.has(rule))).toEqual(
    Object.keys(rules).filter((rule) => elsewhere.includes(rule)),
  )
})

test("a copied file that the ignore file leaves out is found", async () => {
  const ignored = leavesOut(ignoreMatcher(["secret", "*.log"]))
  const text = "FROM scratch\nCOPY a secret/x ./b.log /d/\nADD secret /e\nCOPY --from=scratch secret /f\n"
  const { findings } = await check(text, ignored)
  expect(findings.map(({ message }) => message)).toEqual([
    'Attempting to Copy file "secret/x" that is excluded by .dockerignore',
    'Attempting to Copy file "b.log" that is excluded by .dockerignore',
    'Attempting to Add file "secret" that is excluded by .dockerignore',
  ])
})

test("what may be taken in again is not judged, and the whole context only when nothing of it is left", async () => {
  const found = async (patterns: readonly string[], source: string) => {
    const { findings } = await check(`FROM scratch\nCOPY ${source} /\n`, leavesOut(ignoreMatcher(patterns)))
    return findings.map(({ rule }) => rule)
  }
  expect(await found(["a", "!a/b"], "a")).toEqual([])
  expect(await found(["a"], ".")).toEqual([])
  expect(await found(["*"], ".")).toEqual(["CopyIgnoredFile"])
  expect(await found(["**"], "./x/..")).toEqual(["CopyIgnoredFile"])
})

test("the answer has BuildKit's shapes: findings in their order in JSON, by line in text", async () => {
  const text = "FROM scratch AS A\nMAINTAINER me\nCMD a \\\n\n b\n"
  const { answer } = await check(text)
  const location = (...lines: number[]) => ({
    ranges: lines.map((line) => ({ start: { line }, end: { line } })),
  })
  expect(answer.json).toEqual({
    warnings: [
      {
        ruleName: "NoEmptyContinuation",
        description: "Empty continuation lines will become errors in a future release",
        url: "https://docs.docker.com/go/dockerfile/rule/no-empty-continuation/",
        detail: "Empty continuation line",
        location: location(5),
      },
      {
        ruleName: "StageNameCasing",
        description: "Stage names should be lowercase",
        url: "https://docs.docker.com/go/dockerfile/rule/stage-name-casing/",
        detail: "Stage name 'A' should be lowercase",
        location: location(1),
      },
      {
        ruleName: "MaintainerDeprecated",
        description:
          "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
        url: "https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/",
        detail: "Maintainer instruction is deprecated in favor of using label",
        location: location(2),
      },
      {
        ruleName: "JSONArgsRecommended",
        description:
          "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
        url: "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/",
        detail: "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
        location: location(3, 4, 5),
      },
    ],
    sources: [{ filename: "Dockerfile", data: Buffer.from(text).toString("base64"), language: "Dockerfile" }],
  })
  expect(
    answer.text.split("\n").filter((line) => line.startsWith("WARNING") || /^Dockerfile/.test(line)),
  ).toEqual([
    "WARNING: StageNameCasing - https://docs.docker.com/go/dockerfile/rule/stage-name-casing/",
    "Dockerfile:1",
    "WARNING: MaintainerDeprecated - https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/",
    "Dockerfile:2",
    "WARNING: JSONArgsRecommended - https://docs.docker.com/go/dockerfile/rule/json-args-recommended/",
    "Dockerfile:3",
    "WARNING: NoEmptyContinuation - https://docs.docker.com/go/dockerfile/rule/no-empty-continuation/",
    "Dockerfile:5",
  ])
  expect(answer.shown?.startsWith("Check complete, 4 warnings have been found!\n\nWARNING: ")).toBe(true)
})

test("nothing found, and a Dockerfile that cannot be built", async () => {
  const good = await check("FROM scratch\n")
  expect(good.answer).toMatchObject({
    text: "",
    shown: "Check complete, no warnings found.\n",
    statusCode: 0,
  })
  expect(good.answer.json).toMatchObject({ warnings: null })
  const bad = await check("FROM x\nFOO")
  expect(bad.answer.json).toMatchObject({
    warnings: null,
    buildError: {
      message: "dockerfile parse error on line 2: unknown instruction: FOO (did you mean FROM?)",
      location: { ranges: [{ start: { line: 2 }, end: { line: 2 } }] },
    },
  })
  expect(bad.answer.shown).toBe(
    [
      "ERROR: dockerfile parse error on line 2: unknown instruction: FOO (did you mean FROM?)",
      "Dockerfile:2",
      "--------------------",
      "   1 |     FROM x",
      "   2 | >>> FOO",
      "--------------------",
      "",
    ].join("\n"),
  )
})
