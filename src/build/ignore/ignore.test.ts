import { expect, test } from "bun:test"
import fc from "fast-check"
import { Failure } from "../../base/errors.ts"
import { ignoreMatcher, readIgnore } from "./ignore.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const ignored = (patterns: readonly string[], path: string) => ignoreMatcher(patterns).ignores(path, false)

test("an ignore file's lines are cleaned, and comments and blank lines go", () => {
  const text =
    "\ufefftest1\n/test2\n/a/file/here\n\nlast/./x/../file/\n# no\n #yes\n! /up/it\n!\n! \n\r\nwin\r\n/\n"
  expect(readIgnore(bytes(text))).toEqual([
    "test1",
    "test2",
    "a/file/here",
    "last/file",
    "#yes",
    "!up/it",
    "!",
    "!",
    "win",
    "/",
  ])
})

// What moby's matcher answers, asked of it.
const cases: readonly (readonly [patterns: readonly string[], path: string, ignored: boolean])[] = [
  [["**"], "a/b", true],
  [["**/"], "a", true],
  [["**", "!keep"], "keep", false],
  [["dir/**"], "dir", false],
  [["dir/**"], "dir/a/b", true],
  [["**/dir"], "a/b/dir", true],
  [["**/dir"], "a/b/dir/file", true],
  [["**/dir"], "a/mydir", false],
  [["**/dir2/*"], "a/dir2/b", true],
  [["a/**/b"], "a/b", true],
  [["a/**/b"], "a/x/y/b", true],
  [["*.go"], "x.go", true],
  [["*.go"], "d/x.go", false],
  [["**/*.go"], "d/x.go", true],
  [["?.go"], "a.go", true],
  [["?.go"], "ab.go", false],
  [["a[b-d]e"], "ace", true],
  [["a[^b-d]e"], "ace", false],
  [["a\\*b"], "a*b", true],
  [["a\\*b"], "axb", false],
  [["a.|)$(}+{bc"], "a.|)$(}+{bc", true],
  [["dist/proxy.py"], "dist/proxy.py", true],
  [["/dist"], "dist", false],
  [["node_modules", "!node_modules/keep"], "node_modules/keep/x", false],
  [["node_modules", "!node_modules/keep"], "node_modules/other", true],
  [["*", "!src", "src/gen"], "src/gen/x", true],
  [["*", "!src", "src/gen"], "src/main", false],
  [["*", "!src", "src/gen"], "src", false],
  [["a/b", "!a"], "a/b", true],
  [["*^[^a]"], "x", true],
  [["[*]"], "[]", true],
  [["é?"], "é😀", true],
]
for (const [patterns, path, expected] of cases)
  test(`${JSON.stringify(patterns)} ${expected ? "leaves out" : "lets in"} ${path}`, () => {
    expect(ignored(patterns, path)).toBe(expected)
  })

test("what cannot be read is refused in one sentence", () => {
  for (const pattern of ["[", "a[", "a\\", "[]a]", "[a-]", "!", "[z-a]"])
    expect(() => ignoreMatcher([pattern])).toThrow(Failure)
})

test("an ignored directory is walked only when an exception may lie in it", () => {
  const plain = ignoreMatcher(["*", "!a/b/**", "!c"])
  expect(plain.mayHoldExceptions("a")).toBe(true)
  expect(plain.mayHoldExceptions("a/b")).toBe(true)
  expect(plain.mayHoldExceptions("ab")).toBe(false)
  expect(plain.mayHoldExceptions("d")).toBe(false)
  expect(ignoreMatcher(["*", "!**/x"]).mayHoldExceptions("d")).toBe(true)
  expect(ignoreMatcher(["*"]).mayHoldExceptions("d")).toBe(false)
})

test("lint asks for a path on its own, by all its parents", () => {
  expect(ignoreMatcher(["a/b", "!a"]).covers("a/b")).toBe(false)
  expect(ignoreMatcher(["a"]).covers("a/b/c")).toBe(true)
  expect(ignoreMatcher(["**"]).ignoresAll).toBe(true)
  expect(ignoreMatcher(["a", "!b"]).hasExceptions).toBe(true)
})

const piece = fc.constantFrom(
  "a",
  "b",
  "ab",
  "*",
  "**",
  "?",
  "/",
  "[ab]",
  "[^a]",
  ".",
  "\\*",
  "é",
  "(",
  "^",
  "[",
  "]",
  "!",
  "{",
  "😀",
)
const pattern = fc.array(piece, { minLength: 1, maxLength: 8 }).map((pieces) => pieces.join(""))
const path = fc
  .array(fc.constantFrom("a", "b", "ab", "a.b", "é", "x", "*", "😀"), { minLength: 1, maxLength: 5 })
  .map((parts) => parts.join("/"))

test("any pattern and path give an answer or a failure, the same whatever was asked before", () => {
  fc.assert(
    fc.property(fc.array(pattern, { maxLength: 5 }), fc.array(path, { maxLength: 8 }), (patterns, paths) => {
      try {
        const matcher = ignoreMatcher(patterns)
        for (const each of paths)
          expect(matcher.ignores(each, each.length % 2 === 0)).toBe(
            ignoreMatcher(patterns).ignores(each, false),
          )
      } catch (error) {
        if (!(error instanceof Failure)) throw error
      }
    }),
    { numRuns: 2000 },
  )
})

test("a pattern with many repetitions answers as the same pattern tried part by part", () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom("a", "b", "*", "?"), { minLength: 1, maxLength: 10 }),
      fc.array(fc.constantFrom("a", "b"), { maxLength: 10 }),
      (glob, letters) => {
        const text = glob.join("").replace(/\*+/g, "*")
        const name = letters.join("") || "a"
        const expected = new RegExp(`^${text.replaceAll("?", ".").replaceAll("*", ".*")}$`).test(name)
        expect(ignored([text], name)).toBe(expected)
      },
    ),
    { numRuns: 2000 },
  )
})

test("no pattern makes a long path take long", () => {
  const started = performance.now()
  const hostile = [
    "*a".repeat(60),
    "**/a*".repeat(40),
    `${"[^b]*".repeat(50)}b`,
    "?*".repeat(80),
    "**a".repeat(60),
  ]
  const matcher = ignoreMatcher(hostile)
  expect(matcher.ignores("a".repeat(4000), false)).toBe(true)
  expect(matcher.ignores("a/".repeat(1000), false)).toBeDefined()
  expect(performance.now() - started).toBeLessThan(4000)
})

test("20,000 paths are asked in a moment", () => {
  const patterns = [
    ".git",
    "**/node_modules",
    "**/*.log",
    "dist/**",
    "*.md",
    "!README.md",
    "a/*/c/*.tmp",
    "**/.cache/**",
  ]
  const matcher = ignoreMatcher(patterns)
  const started = performance.now()
  let left = 0
  for (let folder = 0; folder < 200; folder++) {
    matcher.ignores(`src${folder}`, true)
    for (let file = 0; file < 100; file++)
      if (!matcher.ignores(`src${folder}/file-number-${file}.ts`, false)) left++
  }
  expect(left).toBe(20_000)
  expect(performance.now() - started).toBeLessThan(1000)
})
