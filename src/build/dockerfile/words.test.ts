import { expect, test } from "bun:test"
import fc from "fast-check"
import { BuildFailure } from "../failure.ts"
import { type ExpandOptions, expandWord, expandWords } from "./words.ts"

const values: Readonly<Record<string, string>> = {
  a: "abcab",
  b: "x y",
  e: "",
  f: "archive.tar.gz",
  p: "one/two/three",
  n: "1\n2",
  star: "a*b",
}
const lookup = (name: string) => (Object.hasOwn(values, name) ? values[name] : undefined)
const text = (word: string, options: ExpandOptions = {}) => expandWord(word, lookup, "\\", options).text

// Each asked of BuildKit's own lexer.
const cases: readonly (readonly [word: string, text: string])[] = [
  ["plain", "plain"],
  ["$a", "abcab"],
  // biome-ignore-start lint/suspicious/noTemplateCurlyInString: the shell's, not JavaScript's
  ["${a}x$b", "abcabxx y"],
  ["$unset-", "-"],
  ["$", "$"],
  ["a$", "a$"],
  ["$$", ""],
  ["$1a", "a"],
  ["'$a'", "$a"],
  ['"$a"', "abcab"],
  ['"\\$a\\"\\q"', '$a"\\q'],
  ["\\$a\\x", "$ax"],
  ["end\\", "end"],
  ["${u:-x y}", "x y"],
  ["${u-${a}}", "abcab"],
  ["${e:-x}", "x"],
  ["${e-x}", ""],
  ["${a:+set}", "set"],
  ["${e:+set}", ""],
  ["${e+set}", "set"],
  ["${u+set}", ""],
  ["${a:?no}", "abcab"],
  ["${a#a}", "bcab"],
  ["${a#*b}", "cab"],
  ["${a##*b}", ""],
  ["${a%b}", "abca"],
  ["${a%b*}", "abca"],
  ["${a%%b*}", "a"],
  ["${f%.*}", "archive.tar"],
  ["${f%%.*}", "archive"],
  ["${f##*.}", "gz"],
  ["${f#?}", "rchive.tar.gz"],
  ["${p/\\//-}", "one-two/three"],
  ["${p//\\//-}", "one-two-three"],
  ["${a/b/X}", "aXcab"],
  ["${a//b/X}", "aXcaX"],
  ["${a//?/.}", "....."],
  ["${a//b/}", "aca"],
  ["${a/*/all}", "all"],
  ["${star/\\*/-}", "a-b"],
  ["${n%2*}", "1\n"],
  ["${n/1*/x}", "x\n2"],
  ["${u/b/X}", ""],
  ["<<EOF", "<<EOF"],
  ["a<b", "a<b"],
  ["é$a", "éabcab"],
]
for (const [word, expected] of cases)
  test(`${word} is ${JSON.stringify(expected)}`, () => expect(text(word)).toBe(expected))

const errors: readonly (readonly [word: string, message: string])[] = [
  ["${", "syntax error: missing '}'"],
  ["${}", "syntax error: bad substitution"],
  ["${:x}", "syntax error: bad substitution"],
  ["${{a}}", "syntax error: bad substitution"],
  ["${a", "unsupported modifier (\ufffd) in substitution"],
  ["${a:", "syntax error: missing '}'"],
  ["${a:~b}", "unsupported modifier (:~) in substitution"],
  ["${a:-b", "syntax error: missing '}'"],
  ["${a~b}", "unsupported modifier (~) in substitution"],
  ["${a:#b}", "unsupported modifier (:#) in substitution"],
  ["${a/b}", "syntax error: missing '/' in ${}"],
  ["${a/b/", "syntax error: missing '}'"],
  ["${u?gone}", "u: gone"],
  ["${u?}", "u: is not allowed to be unset"],
  ["${e:?}", "e: is not allowed to be empty"],
  ["${a#\\q}", "invalid pattern (\\q) in substitution: invalid escape '\\q'"],
  ["'a", "unexpected end of statement while looking for matching single-quote"],
  ['"a', "unexpected end of statement while looking for matching double-quote"],
]
for (const [word, message] of errors)
  test(`${word} is refused: ${message}`, () => {
    expect(() => text(word)).toThrow(`failed to process ${JSON.stringify(word)}: ${message}`)
  })

test("names that are not set are told, and so are those that are", () => {
  expect(expandWord("$a ${x:-$y} $x '$z'", lookup, "\\")).toEqual({
    text: "abcab   $z",
    matched: ["a"],
    unmatched: ["y", "x"],
  })
})
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: the shell's, not JavaScript's

test("the escape character is the Dockerfile's", () => {
  expect(expandWord("C:\\x`$a", lookup, "`").text).toBe("C:\\x$a")
})

test("options keep what they say", () => {
  expect(text(`"$a" 'b'`, { rawQuotes: true })).toBe(`"abcab" 'b'`)
  expect(text(`"$a" 'b`, { ignoreQuotes: true })).toBe(`"abcab" 'b`)
  expect(text("\\$a", { rawEscapes: true })).toBe("\\$a")
  expect(text("$u $a", { keepUnset: true })).toBe("$u abcab")
})

test("words split at blanks that are not quoted, in values too", () => {
  expect(expandWords("80 $b 'a b' c\\ d \"$b\" ''", lookup, "\\")).toEqual([
    "80",
    "x",
    "y",
    "a b",
    "c d",
    "x y",
  ])
})

const letters = fc.constantFrom(..."ab$}{:-+?#%/*'\"\\`< é0_1@\t\n".split(""), "${", "${a", "//", "<<")
const word = fc.array(letters, { maxLength: 40 }).map((parts) => parts.join(""))

test("any word gives a text or a BuildFailure", () => {
  fc.assert(
    fc.property(
      word,
      fc.constantFrom("\\", "`"),
      fc.boolean(),
      fc.boolean(),
      (given, escapeToken, raw, keep) => {
        const options = { rawQuotes: raw, rawEscapes: raw, keepUnset: keep }
        for (const run of [expandWord, expandWords])
          try {
            run(given, lookup, escapeToken, options)
          } catch (error) {
            if (!(error instanceof BuildFailure)) throw error
          }
      },
    ),
    { numRuns: 1500 },
  )
})

test("hostile words end soon, with a failure at worst", () => {
  const started = performance.now()
  const long = (name: string) => (name === "a" ? "a".repeat(20_000) : undefined)
  const hostile = [
    "${x:-".repeat(20_000),
    "${x:-".repeat(20_000) + "}".repeat(20_000),
    "$a".repeat(500),
    `\${a//${"*a".repeat(50)}b/x}`,
    `\${a%%${"a*".repeat(50)}b}`,
    `\${a##${"?*".repeat(100)}}`,
    "'".repeat(60_001),
  ]
  for (const each of hostile)
    try {
      expandWord(each, long, "\\")
    } catch (error) {
      if (!(error instanceof BuildFailure)) throw error
    }
  expect(performance.now() - started).toBeLessThan(3000)
})
