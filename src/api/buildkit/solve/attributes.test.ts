// Frontend attributes: what each means, and what is refused.
import { expect, test } from "bun:test"
import fc from "fast-check"
import {
  attestations,
  cacheImports,
  csvFields,
  extraHosts,
  missingAbility,
  networkMode,
  prefixed,
  ulimits,
  wholeNumber,
} from "./attributes.ts"

test("entries of a prefix come by name, however a client sends them", () => {
  const attributes = new Map([
    ["label:b", "2"],
    ["target", "x"],
    ["label:a", "1"],
  ])
  expect([...prefixed(attributes, "label:")]).toEqual([
    ["a", "1"],
    ["b", "2"],
  ])
})

test("CSV", () => {
  expect(csvFields('a,"b,c","d""e",')).toEqual(["a", "b,c", 'd"e', ""])
  expect(() => csvFields('a"b')).toThrow("bare")
  fc.assert(
    fc.property(fc.array(fc.string(), { minLength: 1 }), (fields) => {
      const text = fields.map((field) => `"${field.replaceAll('"', '""')}"`).join(",")
      expect(csvFields(text)).toEqual(fields)
    }),
  )
})

test("hosts and limits", () => {
  expect(extraHosts("A=1.2.3.4,b=::1")).toEqual(["a:1.2.3.4", "b:::1"])
  expect(() => extraHosts("a=nowhere")).toThrow("failed to parse IP nowhere")
  expect(() => extraHosts("a")).toThrow("invalid key-value pair a")
  expect(ulimits("nofile=10:20,core=0")).toEqual([
    { name: "nofile", soft: 10, hard: 20 },
    { name: "core", soft: 0, hard: 0 },
  ])
  expect(() => ulimits("nofile=30:20")).toThrow("soft limit")
  expect(() => ulimits("nofile")).toThrow("invalid ulimit argument")
})

test("networks and numbers", () => {
  expect(["", "sandbox", "none", "host"].map(networkMode)).toEqual(["", "", "none", "host"])
  expect(() => networkMode("bridge")).toThrow("invalid netmode bridge")
  expect(wholeNumber("64", "x")).toBe(64)
  for (const odd of ["-1", "1.5", "a", "9".repeat(30)])
    expect(() => wholeNumber(odd, "shm size")).toThrow("shm size")
})

test("caches to be read", () => {
  const imports = (key: string, text: string) => cacheImports(new Map([[key, text]]))
  expect(imports("cache-imports", '[{"Type":"registry","Attrs":{"ref":"r.test/x"}}]')).toEqual([
    { type: "registry", attributes: new Map([["ref", "r.test/x"]]) },
  ])
  expect(imports("cache-from", "a,b")).toHaveLength(2)
  for (const odd of ["{", "{}", "[1]", "[null]", '[{"Attrs":{}}]'])
    expect(() => imports("cache-imports", odd)).toThrow("cache-imports")
})

test("attestations and abilities", () => {
  const attributes = new Map([
    ["attest:provenance", "mode=max,inline-only"],
    ["attest:sbom", "disabled=true"],
    ["attest:other", ""],
  ])
  expect([...attestations(attributes)]).toEqual([
    ["other", new Map()],
    [
      "provenance",
      new Map([
        ["mode", "max"],
        ["inline-only", "true"],
      ]),
    ],
  ])
  const abilities = (text: string) => missingAbility(new Map([["frontend.caps", text]]))
  expect(abilities("moby.buildkit.frontend.contexts,odd+forward")).toBeUndefined()
  expect(abilities("odd")).toBe("odd")
})
