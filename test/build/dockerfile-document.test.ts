// Writes docs/dockerfile.md from the parser's own tables and the corpus of Dockerfiles that is built and compared.
//   UPDATE=1 bun test ./test/build/dockerfile-document.test.ts     rewrites the document
import { expect, test } from "bun:test"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { lintCases } from "../../src/build/calls/testing/lint-cases.ts"
import { flagsOf } from "../../src/build/dockerfile/flags.ts"
import type { Instruction } from "../../src/build/dockerfile/instructions.ts"
import { rules, ruleUrl } from "../../src/build/dockerfile/lint/rules.ts"
import { mountKeys, mountTypes } from "../../src/build/dockerfile/mounts.ts"
import { parseDockerfile } from "../../src/build/dockerfile/parse.ts"
import { instructionNames } from "../../src/build/dockerfile/readers.ts"
import { expandWord } from "../../src/build/dockerfile/words.ts"
import { platformArguments } from "../../src/build/graph/arguments.ts"
import { ignoreMatcher } from "../../src/build/ignore/ignore.ts"
import { casesOf, differences, readExpected } from "../corpus/cases.ts"
import { about, elsewhere, ignoreExamples, wordExamples } from "./dockerfile-words.ts"

const root = join(import.meta.dirname, "..", "..")
const document = join(root, "docs", "dockerfile.md")
const casesDirectory = join(root, "test", "corpus", "cases")

/** What an instruction shows by being in a Dockerfile: itself, its flags, its form, keys and types of mounts. */
const shownBy = (instruction: Instruction): string[] => {
  const { type, flags, heredocs } = instruction
  const keys = [type, ...flags.map(({ name }) => `${type} --${name}`)]
  if (heredocs.length > 0) keys.push(`${type} <<`)
  if ("command" in instruction && instruction.command !== undefined)
    keys.push(`${type} ${instruction.command.form}`)
  if (instruction.type === "RUN")
    for (const mount of instruction.mounts) {
      const fields = mount.split(",").map((field) => field.split("=", 2))
      const kind = fields.find(([key]) => key === "type")?.[1] ?? "bind"
      keys.push(`mount ${kind}`, ...fields.map(([key]) => `mount ${kind} ${key}`))
    }
  return keys
}

/** Cases that are built, in BuildKit's eyes, and in which Sloop is not known to differ. */
const goodCases = (): readonly string[] => {
  const known = differences().buildkit
  return casesOf("buildkit")
    .filter(({ name }) => known[name] === undefined && !("error" in readExpected("buildkit", name)))
    .map(({ name }) => name)
}

/** For each thing the first case of the corpus that bears its instruction's name, or else the first of all. */
const proofs = (): ReadonlyMap<string, string> => {
  const found = new Map<string, string>()
  const note = (key: string, name: string): void => {
    const instruction = /^[A-Z]+/.exec(key)?.[0].toLowerCase() ?? key.split(" ", 1)[0]
    const isNamed = name.startsWith(`${instruction}-`)
    const earlier = found.get(key)
    if (earlier === undefined || (isNamed && !earlier.startsWith(`${instruction}-`))) found.set(key, name)
  }
  for (const name of goodCases()) {
    const path = join(casesDirectory, name, "Dockerfile")
    if (!existsSync(path)) continue
    try {
      const file = parseDockerfile(readFileSync(path))
      const { globalArgs, stages } = file
      const instructions = [...globalArgs, ...stages.flatMap((stage) => [stage.from, ...stage.instructions])]
      const keys = instructions.flatMap(shownBy)
      if (file.syntax !== "") keys.push("# syntax")
      if (file.escape === "`") keys.push("# escape")
      for (const key of keys) note(key, name)
    } catch {
      // A case that shows what is refused.
    }
  }
  return found
}

const row = (cells: readonly string[]): string =>
  `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string[] => [
  row(head),
  row(head.map(() => "---")),
  ...rows.map(row),
]

const proven = proofs()

/** Name, what it is, whether it works, and by what that is shown. */
const line = (key: string, name: string): readonly string[] => {
  const other = elsewhere[key]
  const proof = proven.get(key)
  const link = proof === undefined ? "" : `[${proof}](../test/corpus/cases/${proof}/Dockerfile)`
  return [
    `\`${name}\``,
    about[key] ?? "",
    other?.works ?? (link === "" ? "not tested" : "yes"),
    other?.by ?? link,
  ]
}

const head = ["", "what it does", "works", "shown by"]
const forms = { exec: '["a", "b"]', shell: "a b", "<<": "<<EOF" } as const

const instructionSections = (): string[] =>
  instructionNames.flatMap((name) => {
    const formRows = Object.entries(forms)
      .filter(([form]) => about[`${name} ${form}`] !== undefined)
      .map(([form, shown]) => line(`${name} ${form}`, `${name} ${shown}`))
    const flagRows = Object.keys(flagsOf[name] ?? {}).map((flag) => line(`${name} --${flag}`, `--${flag}`))
    return ["", `### ${name}`, "", ...table(head, [line(name, name), ...formRows, ...flagRows])]
  })

const mountSection = (): string[] =>
  mountTypes.flatMap((type) => [
    "",
    `### RUN --mount=type=${type}`,
    "",
    ...table(head, [
      line(`mount ${type}`, `type=${type}`),
      ...mountKeys
        .filter((key) => about[`mount ${type} ${key}`] !== undefined)
        .map((key) => line(`mount ${type} ${key}`, key)),
    ]),
  ])

const variables = new Map(Object.entries({ v: "a.tar.gz", e: "" }))
const expanded = (word: string): string => {
  try {
    return `\`${expandWord(word, (name) => variables.get(name), "\\").text}\``
  } catch (error) {
    return error instanceof Error ? error.message : ""
  }
}

const platform = { os: "linux", architecture: "amd64", variant: "" }

const made = (): string =>
  [
    "# Dockerfiles",
    "",
    "Every instruction and flag of the Dockerfile language (1.20 and later), with its state. This file is made by",
    "[a test](../test/build/dockerfile-document.test.ts) from the parser's own tables and from the",
    "[corpus](../test/corpus/README.md), whose cases are built and compared with what dockerd and BuildKit made of them; it",
    "fails when they disagree. `docker/dockerfile` frontends are built in: no image of them is ever pulled.",
    "",
    "## Instructions",
    ...instructionSections(),
    "",
    "## Mounts of RUN",
    ...mountSection(),
    "",
    "## Directives",
    "",
    ...table(
      head,
      ["syntax", "escape", "check"].map((name) => line(`# ${name}`, `# ${name}=`)),
    ),
    "",
    "## Variables",
    "",
    "With `v` set to `a.tar.gz`, `e` set and empty, and `u` not set:",
    "",
    ...table(
      ["written", "becomes"],
      wordExamples.map((word) => [`\`${word}\``, expanded(word)]),
    ),
    "",
    "Predefined arguments, which need an `ARG` only in the stage that uses them:",
    `${[...platformArguments(platform, platform, "", new Map()).keys()].map((name) => `\`${name}\``).join(", ")}.`,
    "The proxies (`HTTP_PROXY`, `HTTPS_PROXY`, `FTP_PROXY`, `NO_PROXY`, `ALL_PROXY`, in either case) need none and leave no trace.",
    "",
    "## .dockerignore",
    "",
    "The file `NAME.dockerignore` beside the Dockerfile `NAME` comes before `.dockerignore` at the top of the context. The last",
    "line that matches a path or a directory above it decides.",
    "",
    ...table(
      ["lines", "path", ""],
      ignoreExamples.map(([patterns, path]) => [
        patterns.map((pattern) => `\`${pattern}\``).join(", "),
        `\`${path}\``,
        ignoreMatcher(patterns).ignores(path, false) ? "left out" : "sent",
      ]),
    ),
    "",
    "## Rules of `build --check`",
    "",
    "Left out by `# check=skip=Rule,Other` (or `skip=all`) at the top, or in a comment above one instruction; let in by",
    "`experimental=Rule`; `error=true` makes findings fail the build. The build argument `BUILDKIT_DOCKERFILE_CHECK` overrules",
    "what the file says.",
    "",
    ...table(
      ["rule", "what it asks", "by default"],
      Object.entries(rules).map(([name, rule]) => {
        const url = ruleUrl(name as keyof typeof rules)
        return [url === "" ? name : `[${name}](${url})`, rule.description, rule.experimental ? "off" : "on"]
      }),
    ),
    "",
  ].join("\n")

test("docs/dockerfile.md says what the parser knows and the corpus shows", () => {
  const text = made()
  if (process.env.UPDATE === "1") writeFileSync(document, text)
  expect(readFileSync(document, "utf8")).toBe(text)
})

test("everything in the tables is described, and nothing else is", () => {
  const known = new Set([
    ...instructionNames.flatMap((name) => [
      name,
      ...Object.keys(flagsOf[name] ?? {}).map((flag) => `${name} --${flag}`),
      ...Object.keys(forms).map((form) => `${name} ${form}`),
    ]),
    ...mountTypes.flatMap((type) => [`mount ${type}`, ...mountKeys.map((key) => `mount ${type} ${key}`)]),
    ...["# syntax", "# escape", "# check"],
  ])
  const needed = [...known].filter((key) => !/ (exec|shell|<<)$|^mount \w+ /.test(key))
  expect(needed.filter((key) => about[key] === undefined)).toEqual([])
  expect([...Object.keys(about), ...Object.keys(elsewhere)].filter((key) => !known.has(key))).toEqual([])
})

test("every rule has a case that finds it, or a test of its own", () => {
  const found = new Set(
    lintCases.flatMap(({ findings }) => findings.map((finding) => finding.split(" ", 1)[0])),
  )
  expect(Object.keys(rules).filter((name) => !found.has(name))).toEqual([
    "InvalidBaseImagePlatform",
    "CopyIgnoredFile",
  ])
})
