// WWW-Authenticate: what registries send, what they should not, and anything at all.
import { expect, test } from "bun:test"
import fc from "fast-check"
import { type Challenge, parseChallenges } from "./challenge.ts"

const known: [string, Challenge[]][] = [
  ['Basic realm="x"', [{ scheme: "basic", parameters: { realm: "x" } }]],
  [
    'Bearer realm="https://a.example/token",service="s p",scope="repository:a/b:pull,push"',
    [
      {
        scheme: "bearer",
        parameters: { realm: "https://a.example/token", service: "s p", scope: "repository:a/b:pull,push" },
      },
    ],
  ],
  [
    'Negotiate YWJj==, BEARER Realm = "q\\"uo\\\\te" , error=insufficient_scope, Basic realm=plain',
    [
      { scheme: "negotiate", parameters: {} },
      { scheme: "bearer", parameters: { realm: 'q"uo\\te', error: "insufficient_scope" } },
      { scheme: "basic", parameters: { realm: "plain" } },
    ],
  ],
  ['Bearer realm="first",realm="second"', [{ scheme: "bearer", parameters: { realm: "first" } }]],
  ['realm="nobody"', [{ scheme: "realm", parameters: {} }]],
]
test.each(known)("%s", (header, expected) => {
  const found = parseChallenges(header)
  expect(found.slice(0, expected.length)).toEqual(expected)
})

test("nothing is nothing", () => {
  expect(parseChallenges("")).toEqual([])
})

test("anything is read without an error, in little time", () => {
  const pieces = fc.array(
    fc.oneof(fc.constantFrom("Bearer", "Basic", " ", ",", "=", '"', "\\", "realm", "__proto__"), fc.string()),
    { maxLength: 60 },
  )
  fc.assert(
    fc.property(pieces, (parts) => {
      for (const { scheme, parameters } of parseChallenges(parts.join(""))) {
        expect(scheme).toBe(scheme.toLowerCase())
        for (const value of Object.values(parameters)) expect(typeof value).toBe("string")
      }
    }),
  )
  const started = performance.now()
  for (const text of ['"\\', ",", "a=", 'a="', "a ", "=====", "\\"]) parseChallenges(text.repeat(20_000))
  expect(performance.now() - started).toBeLessThan(500)
})

test("what was written is what is read", () => {
  const token = fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/)
  const value = fc.string({ maxLength: 20 }).map((text) => text.replace(/[\r\n]/g, ""))
  fc.assert(
    fc.property(token, fc.dictionary(token, value, { maxKeys: 5 }), (scheme, parameters) => {
      const text = Object.entries(parameters)
        .map(([name, given]) => `${name}="${given.replace(/["\\]/g, "\\$&")}"`)
        .join(", ")
      expect(parseChallenges(`${scheme} ${text}`)).toEqual([{ scheme, parameters }])
    }),
  )
})
