// Check, outline and targets through the engine's builder: nothing runs, and contexts are looked at.
import { afterAll, expect, test } from "bun:test"
import { BuildFailure, type BuildRequest } from "../../src/build/build.ts"
import { lines, requestOf, startBuildGround } from "./ground.ts"

const ground = await startBuildGround()
afterAll(() => ground.close(), 60_000)

const call = (
  files: Readonly<Record<string, string>>,
  what: "check" | "outline" | "targets",
  more: Partial<BuildRequest> = {},
) => {
  const request = { ...requestOf(ground.context(files)), ...more }
  return ground.builder().call(request, what, () => {}, new AbortController().signal)
}

const faulty = lines(
  "from busybox as A",
  "COPY secret /s",
  "ENV x=$nope y=$PATH",
  "RUN touch /never",
  "CMD a",
)

test("a check looks at the base image's environment and at the ignore file", async () => {
  const { shown, statusCode } = await call({ Dockerfile: faulty, ".dockerignore": "secret\n" }, "check")
  const rules = [...(shown ?? "").matchAll(/^WARNING: (\w+)/gm)].map(([, rule]) => rule)
  expect(rules).toEqual([
    "StageNameCasing",
    "ConsistentInstructionCasing",
    "CopyIgnoredFile",
    "UndefinedVar",
    "JSONArgsRecommended",
  ])
  expect(shown).toContain("Usage of undefined variable '$nope'")
  expect(statusCode).toBe(1)
})

test("a check of what cannot be built says so in its answer", async () => {
  const { shown, json, statusCode } = await call({ Dockerfile: lines("FROM busybox", "RNU x") }, "check")
  expect(shown).toStartWith(
    "ERROR: dockerfile parse error on line 2: unknown instruction: RNU (did you mean RUN?)",
  )
  expect(json).toMatchObject({
    warnings: null,
    buildError: { location: { ranges: [{ start: { line: 2 } }] } },
  })
  expect(statusCode).toBe(1)
})

test("what the check directive leaves out is left out, and the build argument overrules it", async () => {
  const files = { Dockerfile: `# check=skip=all\n${faulty}` }
  expect((await call(files, "check")).statusCode).toBe(0)
  const buildArgs = new Map([["BUILDKIT_DOCKERFILE_CHECK", "skip=StageNameCasing"]])
  const { text, statusCode } = await call(files, "check", { buildArgs })
  expect(text).not.toContain("StageNameCasing")
  expect(text).toContain("UndefinedVar")
  expect(statusCode).toBe(1)
})

test("an outline and the targets of a Dockerfile by another name", async () => {
  const dockerfile = lines(
    "# VERSION of busybox",
    "ARG VERSION=latest",
    "# base it begins here",
    "FROM busybox:$VERSION AS base",
    "RUN --mount=type=secret,id=token a",
    "FROM base",
  )
  const more = { dockerfilePath: "build/Containerfile" }
  const outline = await call({ "build/Containerfile": dockerfile }, "outline", more)
  expect(outline.json).toMatchObject({
    args: [{ name: "VERSION", value: "latest", description: "of busybox" }],
    secrets: [{ name: "token" }],
  })
  const targets = await call({ "build/Containerfile": dockerfile }, "targets", more)
  expect(targets.text).toBe(lines("TARGET    DESCRIPTION", "base      it begins here", "(default) "))
})

test("outlines and targets of what is wrong fail with its lines; without a Dockerfile everything does", async () => {
  const wrong = { Dockerfile: lines("FROM busybox", "COPY a") }
  const thrown = await call(wrong, "targets").catch((error: unknown) => error)
  expect(thrown).toBeInstanceOf(BuildFailure)
  if (!(thrown instanceof BuildFailure)) return
  expect(thrown.detail).toMatchObject({ place: { first: 2, last: 2 }, file: "Dockerfile" })
  expect(thrown.message).toContain("COPY requires at least two arguments")
  await expect(call({}, "check")).rejects.toThrow(
    "failed to read dockerfile: open Dockerfile: no such file or directory",
  )
})

test("an ignore file that cannot be read is told", async () => {
  const { shown } = await call({ Dockerfile: lines("FROM busybox"), ".dockerignore": "a[\n" }, "check")
  expect(shown).toContain("syntax error in pattern")
})
