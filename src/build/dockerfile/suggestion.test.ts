import { expect, test } from "bun:test"
import { quoted } from "./quoted.ts"
import { suggestion, withSuggestion } from "./suggestion.ts"

test("the nearest word within two edits is meant", () => {
  expect(suggestion("VERSIO", ["VERSION", "NAME"])).toBe("VERSION")
  expect(suggestion("version", ["VERSION"])).toBe("")
  expect(suggestion("abc", ["abcdef"])).toBe("")
  expect(suggestion("a", ["a", "ab"])).toBe("")
  expect(suggestion("rnu", ["ENV", "RUN"], false)).toBe("run")
  expect(suggestion("Rnu", ["RUN"], false)).toBe("run")
  expect(withSuggestion("no FORM", "FORM", ["FROM"], false)).toBe("no FORM (did you mean FROM?)")
  expect(withSuggestion("no x", "x", [])).toBe("no x")
})

// As Go quotes them.
const quotes: readonly (readonly [text: string, shown: string])[] = [
  ["a b", '"a b"'],
  ['"\\', '"\\"\\\\"'],
  ["\n\t\r\u0007", '"\\n\\t\\r\\a"'],
  ["\u0000\u001b\u007f", '"\\x00\\x1b\\x7f"'],
  ["é😀", '"é😀"'],
  ["\u00a0\u200b\ufeff", '"\\u00a0\\u200b\\ufeff"'],
]
for (const [text, shown] of quotes) test(`quoted: ${shown}`, () => expect(quoted(text)).toBe(shown))
