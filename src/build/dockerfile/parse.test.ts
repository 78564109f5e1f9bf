import { expect, test } from "bun:test"
import fc from "fast-check"
import { BuildFailure } from "../failure.ts"
import type { Instruction } from "./instructions.ts"
import { parseDockerfile, parseTrigger } from "./parse.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const parse = (text: string) => parseDockerfile(bytes(text))
const refusal = (text: string): BuildFailure => {
  try {
    parse(text)
  } catch (error) {
    if (error instanceof BuildFailure) return error
    throw error
  }
  throw new Error(`was not refused: ${text}`)
}
/** The last instruction of a stage that begins on line 1. */
const one = (text: string): Instruction => {
  const instruction = parse(`FROM x\n${text}`).stages[0]?.instructions.at(-1)
  if (instruction === undefined) throw new Error("no instruction")
  return instruction
}

test("stages have names, bases, platforms and their instructions", () => {
  const { stages, globalArgs } = parse(
    "ARG V=1\n# base all begins here\nFROM --platform=$BUILDPLATFORM alpine:$V AS Base\nRUN a\nfrom base\n\nCMD x\n",
  )
  expect(globalArgs[0]?.args).toEqual([{ key: "V", value: "1" }])
  expect(stages.map(({ name, place }) => [name, place])).toEqual([
    ["base", { first: 3, last: 4 }],
    ["", { first: 5, last: 7 }],
  ])
  expect(stages[0]?.from).toMatchObject({
    image: "alpine:$V",
    name: "Base",
    platform: "$BUILDPLATFORM",
    comments: ["base all begins here"],
  })
  expect(stages[1]?.from).toMatchObject({ keyword: "from", original: "FROM base" })
})

test("lines are continued, past comments and empty ones, and know their place", () => {
  const run = one("RUN a \\\n  # no\n\n  && b \\\t \n c\\\\\nRUN last\\")
  expect(run).toMatchObject({ original: "RUN last", place: { first: 7, last: 7 } })
  const [first] = parse("FROM x\nRUN a \\\n  # no\n\n  && b \\\t \n c\\\\").stages[0]?.instructions ?? []
  expect(first).toMatchObject({ original: "RUN a   && b  c\\\\", place: { first: 2, last: 6 } })
})

test("a byte order mark and Windows' line ends are no part of it", () => {
  const { stages, lines } = parse("\ufeffFROM x\r\nRUN a \\\r\n b\r\n")
  expect(stages[0]?.instructions[0]).toMatchObject({ original: "RUN a  b" })
  expect(lines).toEqual(["FROM x", "RUN a \\", " b"])
})

test("directives are read at the top, and only there", () => {
  const file = parse(
    "# syntax=docker/dockerfile:1 x\n#escape=`\n# check=skip=A,B;error=true\nFROM x\nRUN a `\n b",
  )
  expect(file).toMatchObject({
    syntax: "docker/dockerfile:1",
    escape: "`",
    check: { skip: ["A", "B"], skipAll: false, error: true },
  })
  expect(file.stages[0]?.instructions[0]).toMatchObject({ original: "RUN a  b" })
  expect(parse("# hello\n# escape=`\nFROM x").escape).toBe("\\")
  expect(parse("#!/bin/x\n# check=skip=all\nFROM x").check.skipAll).toBe(true)
  expect(parse("# check=skip=all\nFROM x").check.skipAll).toBe(true)
})

test("heredocs come with their instruction, whole, chomped or quoted", () => {
  const copy = one("COPY --chmod=600 <<EOF <<-'B b' a /x\nq $v\nEOF\n\tz\n\t\ty\n\tB b\n")
  // BuildKit splits words at blanks even in quotes here, so a name with one is no heredoc of COPY.
  expect(copy).toMatchObject({ type: "COPY", destination: "/x", sources: ["<<-'B", "b'", "a"] })
  const plain = one("COPY <<EOF <<-'B' a /x\nq $v\nEOF\n\tz\n\t\ty\n\tB\n")
  expect(plain).toMatchObject({
    sources: ["a"],
    heredocs: [
      { name: "EOF", content: "q $v\n", expand: true },
      { name: "B", content: "z\ny\n", raw: "\tz\n\t\ty\n", expand: false },
    ],
    place: { first: 2, last: 7 },
  })
  expect(one("RUN 3<<EOF cat\na\nEOF")).toMatchObject({
    command: { form: "shell", words: ["3<<EOF cat"] },
    heredocs: [{ fileDescriptor: 3, content: "a\n" }],
  })
  expect(one("RUN echo it's <<EOF").heredocs).toEqual([])
  expect(one('RUN ["a", "<<EOF"]').heredocs).toEqual([])
})

test("commands are words or one line", () => {
  expect(one('CMD ["a", "b c"]')).toMatchObject({ command: { form: "exec", words: ["a", "b c"] } })
  expect(one("ENTRYPOINT a  'b c' ")).toMatchObject({ command: { form: "shell", words: ["a  'b c'"] } })
  expect(one("CMD [a]")).toMatchObject({ command: { form: "shell", words: ["[a]"] } })
  expect(one("CMD []")).toMatchObject({ command: { form: "exec", words: [] } })
})

test("flags come before the rest, their quotes gone", () => {
  expect(
    one(`RUN --network=none --mount="type=cache,target=/a b" --security=insecure -- --x y`),
  ).toMatchObject({
    network: "none",
    security: "insecure",
    mounts: ["type=cache,target=/a b"],
    command: { words: ["--x y"] },
  })
  expect(one("COPY --from=b --link --parents --exclude=a --exclude=b --chown=1:2 x y/")).toMatchObject({
    from: "b",
    link: true,
    parents: true,
    exclude: ["a", "b"],
    chown: "1:2",
    sources: ["x"],
    destination: "y/",
  })
  expect(one("ADD --keep-git-dir=false --unpack --checksum=sha256:1 x y")).toMatchObject({
    keepGitDir: false,
    unpack: true,
    checksum: "sha256:1",
  })
})

test("pairs are read in the new and the old form", () => {
  expect(one(`ENV a=b "c d"='e f' g=\\ h i="j \\" k"`)).toMatchObject({
    pairs: [
      { key: "a", value: "b", legacy: false },
      { key: '"c d"', value: "'e f'" },
      { key: "g", value: "\\ h" },
      { key: "i", value: '"j \\" k"' },
    ],
  })
  expect(one("ENV a b  c=d")).toMatchObject({ pairs: [{ key: "a", value: "b  c=d", legacy: true }] })
  expect(one("ARG A B= C='d e'")).toMatchObject({
    args: [
      { key: "A", value: undefined },
      { key: "B", value: "" },
      { key: "C", value: "'d e'" },
    ],
  })
})

test("other instructions are read", () => {
  expect(one('HEALTHCHECK --interval=1m30s --timeout=1.5ms --retries=3 CMD ["a"]')).toMatchObject({
    none: false,
    interval: 90_000,
    timeout: 1.5,
    retries: 3,
    command: { form: "exec", words: ["a"] },
  })
  expect(one("HEALTHCHECK none")).toMatchObject({ none: true })
  expect(one("EXPOSE 90/udp 80")).toMatchObject({ ports: ["80", "90/udp"] })
  expect(one('VOLUME ["/a b", "/c"]')).toMatchObject({ paths: ["/a b", "/c"] })
  expect(one("ONBUILD COPY <<E /\nx\nE")).toMatchObject({ trigger: "COPY <<E /\nx\nE" })
  expect(one('SHELL ["a", "-c"]')).toMatchObject({ words: ["a", "-c"] })
  expect(one("MAINTAINER me <a@b>")).toMatchObject({ name: "me <a@b>" })
  expect(one("WORKDIR /a b")).toMatchObject({ path: "/a b" })
  expect(one("RUN --device=v.com/d=a,required x")).toMatchObject({
    devices: [{ name: "v.com/d=a", required: true }],
  })
})

// What BuildKit says, and of which lines.
const refusals: readonly (readonly [text: string, message: string, first?: number, last?: number])[] = [
  ["", "the Dockerfile cannot be empty"],
  ["# x\n\n", "file with no instructions", 2],
  ["ARG a", "dockerfile contains no stages to build"],
  ["RUN x", "no build stage in current context", 1],
  ["FORM x", "dockerfile parse error on line 1: unknown instruction: FORM (did you mean FROM?)", 1],
  [
    "FROM x\nrnu \\\n x",
    "dockerfile parse error on line 2: unknown instruction: rnu (did you mean run?)",
    2,
    3,
  ],
  ["FROM x\nNOTHING", "dockerfile parse error on line 2: unknown instruction: NOTHING", 2],
  ["FROM", "dockerfile parse error on line 1: FROM requires either one or three arguments", 1],
  [
    "FROM x AS 1a",
    `dockerfile parse error on line 1: invalid name for build stage: "1a", name can't start with a number or contain symbols`,
    1,
  ],
  ["FROM x\nCOPY <<E /x\na", "unterminated heredoc", 2, 3],
  ["FROM x\nENV a", "ENV must have two arguments", 2],
  ["FROM x\nENV a=b c", `Syntax error - can't find = in "c". Must be of the form: name=value`, 2],
  ["FROM x\nENV", "dockerfile parse error on line 2: ENV requires at least one argument", 2],
  ["FROM x\nLABEL =b", "dockerfile parse error on line 2: LABEL names can not be blank", 2],
  ['FROM x\nCMD ["a", 1]', "when using JSON array syntax, arrays must be comprised of strings only", 2],
  [
    "FROM x\nCOPY a",
    "dockerfile parse error on line 2: COPY requires at least two arguments, but only one was provided. Destination could not be determined",
    2,
  ],
  [
    "FROM x\nCOPY a <<E\nE",
    "dockerfile parse error on line 2: COPY cannot accept a heredoc as a destination",
    2,
    3,
  ],
  [
    "FROM x\nCOPY --form=x a b",
    "dockerfile parse error on line 2: unknown flag: --form (did you mean from?)",
    2,
  ],
  ["FROM x\nCOPY --from a b", "dockerfile parse error on line 2: missing a value on flag: --from", 2],
  ["FROM x\nCOPY --link= a b", "dockerfile parse error on line 2: missing a value on flag: --link", 2],
  [
    "FROM x\nCOPY --link=maybe a b",
    "dockerfile parse error on line 2: expecting boolean value for flag --link, not: maybe",
    2,
  ],
  [
    "FROM x\nCOPY --chown=a --chown=b a b",
    "dockerfile parse error on line 2: duplicate flag specified: --chown",
    2,
  ],
  ["FROM x\nRUN --network=lan x", `dockerfile parse error on line 2: invalid network mode "lan"`, 2],
  ["FROM x\nRUN --security=x y", `dockerfile parse error on line 2: security "x" is not valid`, 2],
  [
    "FROM x\nRUN --mount=from=$a,target=/x y",
    "dockerfile parse error on line 2: 'from' doesn't support variable expansion, define alias stage instead",
    2,
  ],
  ["FROM x\nSHELL a", "dockerfile parse error on line 2: SHELL requires the arguments to be in JSON form", 2],
  ["FROM x\nSHELL []", "dockerfile parse error on line 2: SHELL requires at least one argument", 2],
  ["FROM x\nUSER", "dockerfile parse error on line 2: USER requires exactly one argument", 2],
  ['FROM x\nVOLUME [""]', "dockerfile parse error on line 2: VOLUME specified can not be an empty string", 2],
  [
    "FROM x\nONBUILD ONBUILD RUN x",
    "dockerfile parse error on line 2: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
    2,
  ],
  ["FROM x\nONBUILD from y", "dockerfile parse error on line 2: FROM isn't allowed as an ONBUILD trigger", 2],
  ["FROM x\nHEALTHCHECK x", `dockerfile parse error on line 2: Unknown type "X" in HEALTHCHECK (try CMD)`, 2],
  ["FROM x\nHEALTHCHECK CMD", "dockerfile parse error on line 2: Missing command after HEALTHCHECK CMD", 2],
  ["FROM x\nHEALTHCHECK NONE x", "dockerfile parse error on line 2: HEALTHCHECK NONE takes no arguments", 2],
  [
    "FROM x\nHEALTHCHECK --interval=5 CMD x",
    `dockerfile parse error on line 2: time: missing unit in duration "5"`,
    2,
  ],
  [
    "FROM x\nHEALTHCHECK --timeout=5us CMD x",
    `dockerfile parse error on line 2: Interval "timeout" cannot be less than 1ms`,
    2,
  ],
  [
    "FROM x\nHEALTHCHECK --retries=-1 CMD x",
    "dockerfile parse error on line 2: --retries cannot be negative (-1)",
    2,
  ],
  ["# escape=x\nFROM x", "invalid escape token 'x' does not match ` or \\"],
  ["# escape=`\n# escape=`\nFROM x", "only one escape parser directive can be used", 1],
  ["# check=foo=bar\nFROM x", `failed to parse check options: invalid check option "foo"`],
  [`FROM x\nRUN ${"x".repeat(70_000)}`, "dockerfile line greater than max allowed size of 65535", 1],
]
for (const [text, message, first, last] of refusals)
  test(`refused: ${message.slice(0, 100)}`, () => {
    const failure = refusal(text)
    expect(failure.message).toBe(message)
    expect(failure.kind).toBe("invalid")
    expect(failure.detail.place).toEqual(first === undefined ? undefined : { first, last: last ?? first })
  })

// What dockerd 20.10's classic builder says.
const classicRefusals: readonly (readonly [text: string, message: string])[] = [
  ["", "the Dockerfile (a/Dockerfile) cannot be empty"],
  ["#", "failed to parse Dockerfile: file with no instructions"],
  ["FROM x\nENV a", "failed to parse Dockerfile: ENV must have two arguments"],
  ["FROM x\nCOPPY a b", "dockerfile parse error line 2: unknown instruction: COPPY"],
  ["FROM x\nRUN --colour=x a", "dockerfile parse error line 2: Unknown flag: colour"],
  ["FROM x\nCOPY --from a b", "dockerfile parse error line 2: Missing a value on flag: from"],
  ["FROM", "dockerfile parse error line 1: FROM requires either one or three arguments"],
  ["RUN x", "no build stage in current context"],
]
for (const [text, message] of classicRefusals)
  test(`the classic builder's words: ${message}`, () => {
    expect(() => parseDockerfile(bytes(text), { classic: { file: "a/Dockerfile" } })).toThrow(message)
  })

test("a trigger is one instruction, placed where its base is named", () => {
  const place = { first: 4, last: 5 }
  expect(parseTrigger("COPY <<E /x\na\nE", place)).toMatchObject({
    type: "COPY",
    place,
    heredocs: [{ content: "a\n" }],
  })
  expect(() => parseTrigger("RUN a\nRUN b", place)).toThrow("onbuild trigger should be a single expression")
  expect(() => parseTrigger("FROM b", place)).toThrow(BuildFailure)
  expect(() => parseTrigger("FOO b", place)).toThrow("unknown instruction: FOO")
})

const piece = fc.constantFrom(
  ...'FROM x|FROM x AS b|RUN a|RUN ["a"]|RUN --mount=type=cache,target=/x y|COPY a b|COPY <<E /x|E|ENV a=b|ENV a b|LABEL a|ARG a=b|HEALTHCHECK CMD x|ONBUILD RUN x|# c|# escape=`|# check=skip=all|\\|a \\|\t|\'"|<<-X|$x|EXPOSE 80/TCP|VOLUME ["/a"]|MAINTAINER m|é\u0000|'.split(
    "|",
  ),
)
const anything = fc.oneof(
  fc.array(piece, { maxLength: 12 }).map((lines) => bytes(lines.join("\n"))),
  fc.array(piece, { maxLength: 12 }).map((lines) => bytes(`FROM x\n${lines.join("\r\n")}\n`)),
  fc.uint8Array({ maxLength: 200 }),
)

test("any bytes are a Dockerfile or a BuildFailure", () => {
  fc.assert(
    fc.property(anything, (given) => {
      try {
        parseDockerfile(given)
      } catch (error) {
        if (!(error instanceof BuildFailure)) throw error
      }
    }),
    { numRuns: 1500 },
  )
})

test("large and hostile files are read in a moment", () => {
  const started = performance.now()
  for (const text of [
    `FROM x\n${"RUN a\n".repeat(50_000)}`,
    `FROM x\nRUN a${" \\\n b".repeat(100_000)}`,
    `FROM x\nRUN ${"\\\n".repeat(100_000)}`,
    `FROM x\nRUN ${"[".repeat(60_000)}`,
    `FROM x\nCOPY <<E /\n${"line\n".repeat(200_000)}E`,
    `FROM x\nRUN ${"<<A ".repeat(15_000)}`,
    `FROM x\nENV ${"a=' ".repeat(15_000)}`,
    `FROM x\n${"# c\n".repeat(200_000)}RUN x`,
    `FROM x\nRUN ${" ".repeat(60_000)}x${" ".repeat(5_000)}`,
    `FROM x\n${"ONBUILD ".repeat(8_000)}RUN x`,
  ])
    try {
      parse(text)
    } catch (error) {
      if (!(error instanceof BuildFailure)) throw error
    }
  expect(performance.now() - started).toBeLessThan(6000)
})
