import { expect, test } from "bun:test"
import { parseDockerfile } from "../dockerfile/parse.ts"
import { targetsAnswer } from "./targets.ts"
import { outline } from "./testing/plan.ts"

// What BuildKit answers about this file was asked of it.
const dockerfile = `# VERSION of the base
ARG VERSION=1
ARG NAME=base-$VERSION
ARG UNUSED
FROM $NAME AS base
# HOME_DIR where things are
ARG HOME_DIR=/home/$FOO
RUN --mount=type=secret,id=token,required=true --mount=type=ssh a
# other does something else
FROM scratch AS other
ARG NOT_MINE=1
# app makes the app
FROM base AS app
ARG MODE
ARG VERSION
ENV KEY=tok
RUN --mount=type=secret,target=/run/$KEY --mount=type=ssh,id=git,required b
FROM scratch
COPY --from=app /x /
`
const source = new TextEncoder().encode(dockerfile)
const data = Buffer.from(source).toString("base64")
const at = (line: number) => ({ ranges: [{ start: { line }, end: { line } }] })

test("an outline tells what a target and what it needs take from outside", async () => {
  const answer = await outline(dockerfile, { target: "app", buildArgs: new Map([["MODE", "fast"]]) })
  expect(answer.json).toEqual({
    name: "app",
    description: "makes the app",
    args: [
      { name: "VERSION", description: "of the base", value: "1", location: at(2) },
      { name: "NAME", value: "base-1", location: at(3) },
      { name: "HOME_DIR", description: "where things are", value: "/home/bar", location: at(7) },
      { name: "MODE", value: "fast", location: at(14) },
    ],
    secrets: [
      { name: "token", required: true, location: at(8) },
      { name: "tok", location: at(17) },
    ],
    ssh: [
      { name: "default", location: at(8) },
      { name: "git", required: true, location: at(17) },
    ],
    sources: [data],
  })
  expect(answer.text).toBe(
    [
      "TARGET:      app",
      "DESCRIPTION: makes the app",
      "",
      "BUILD ARG   VALUE       DESCRIPTION",
      "VERSION     1           of the base",
      "NAME        base-1      ",
      "HOME_DIR    /home/bar   where things are",
      "MODE        fast        ",
      "",
      "SECRET   REQUIRED",
      "token    true",
      "tok      ",
      "",
      "SSH       REQUIRED",
      "default   ",
      "git       true",
      "",
      "",
    ].join("\n"),
  )
  expect(answer.statusCode).toBe(0)
})

test("the last stage without a name has an outline without a head", async () => {
  const answer = await outline(dockerfile)
  expect(answer.text.startsWith("BUILD ARG   VALUE       DESCRIPTION\n")).toBe(true)
  expect((await outline("FROM scratch\n")).text).toBe("")
  expect((await outline("FROM scratch\n")).json).toEqual({
    sources: [Buffer.from("FROM scratch\n").toString("base64")],
  })
})

test("targets are the stages, with what their comments say of them", () => {
  const answer = targetsAnswer(parseDockerfile(source), source)
  expect(answer.text).toBe(
    [
      "TARGET    DESCRIPTION",
      "base      ",
      "other     does something else",
      "app       makes the app",
      "(default) ",
      "",
    ].join("\n"),
  )
  expect(answer.json).toEqual({
    targets: [
      { name: "base", base: "$NAME", location: at(5) },
      { name: "other", description: "does something else", base: "scratch", location: at(10) },
      { name: "app", description: "makes the app", base: "base", location: at(13) },
      { default: true, base: "scratch", location: at(18) },
    ],
    sources: [data],
  })
})
