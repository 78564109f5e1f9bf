// The house tests itself: layers, doors, names, sizes, links in documents.
import { expect, test } from "bun:test"
import { existsSync } from "node:fs"
import { dirname, join } from "node:path"
import { doors, layers, wireLayers } from "./layers.ts"
import { projectFiles, projectRoot, readProjectFile, relativeImports } from "./tree.ts"

const files = projectFiles().filter((name) => existsSync(join(projectRoot, name)))
const sources = files.filter((name) => name.startsWith("src/") && name.endsWith(".ts"))
const isTest = (name: string) => /\.(test|conformance)\.ts$/.test(name)
const roomOf = (name: string) => (name.startsWith("src/") ? (name.split("/")[1] ?? "") : "")

test("every folder of src is a room with a layer", () => {
  const rooms = new Set(sources.filter((name) => name.split("/").length > 2).map(roomOf))
  expect([...rooms].filter((room) => layers[room] === undefined)).toEqual([])
})

test("imports point down and never sideways", () => {
  const wrong: string[] = []
  for (const name of sources.filter((source) => !isTest(source) && source !== "src/main.ts")) {
    const from = layers[roomOf(name)] ?? -1
    for (const target of relativeImports(name)) {
      if (!target.startsWith("src/") || roomOf(target) === roomOf(name)) continue
      const to = layers[roomOf(target)] ?? 99
      if (to >= from) wrong.push(`${name} → ${target}`)
      if (roomOf(target) === "wire" && !wireLayers.includes(from))
        wrong.push(`${name} knows the wire: ${target}`)
    }
  }
  expect(wrong).toEqual([])
})

test("rooms are entered by their doors", () => {
  const wrong: string[] = []
  for (const name of sources.filter((source) => !isTest(source))) {
    for (const target of relativeImports(name)) {
      const room = roomOf(target)
      const open = doors[room]
      if (!target.startsWith("src/") || room === roomOf(name) || open === undefined) continue
      if (!open.some((door) => target === `src/${room}/${door}`)) wrong.push(`${name} → ${target}`)
    }
  }
  expect(wrong).toEqual([])
})

test("files stay small", () => {
  const counted = files
    .filter((name) => /^(src|launcher|test|bench|scripts)\/.*\.(ts|mjs|c|h)$/.test(name))
    .map((name) => ({ name, lines: readProjectFile(name).split("\n").length }))
  // Tables of facts (system calls, word lists) are data, not code to read.
  const data = /\/(syscall-table[^/]*|default-profile[^/]*|names-words[^/]*|words)\.ts$/
  expect(counted.filter(({ name, lines }) => lines > 501 && !data.test(name))).toEqual([])
  const sizes = counted.map(({ lines }) => lines).sort((a, b) => a - b)
  expect(sizes[Math.floor(sizes.length * 0.9)] ?? 0).toBeLessThanOrEqual(350)
})

test("every source file says in its first line what it is for", () => {
  const silent = files
    .filter((name) => /^(src|launcher|bench|scripts)\/.*\.(ts|mjs|c|h)$/.test(name) && !isTest(name))
    .filter((name) => !/^(\/\/|\/\*|#!)/.test(readProjectFile(name)))
  expect(silent).toEqual([])
})

test("names say one idea", () => {
  const vague = /(^|\/)(utils?|helpers?|common|misc)(\/|\.|-|$)/
  expect(files.filter((name) => /^(src|launcher|test|bench)\//.test(name) && vague.test(name))).toEqual([])
  const vagueTypes = sources
    .filter((name) => !name.startsWith("src/wire/"))
    .flatMap((name) =>
      [
        ...readProjectFile(name).matchAll(
          /\b(?:class|interface|type)\s+(\w*(?:Manager|Service|Handler|Info|Data))\b/g,
        ),
      ].map((match) => `${name}: ${match[1]}`),
    )
  expect(vagueTypes).toEqual([])
})

/** Code without its line comments, doc comments and strings, where a word means nothing to the compiler. */
const withoutProse = (text: string): string =>
  text.replace(/"(?:\\.|[^"\\\n])*"/g, '""').replace(/^\s*(\*|\/\*|\/\/(?!\s*(@ts-|TODO|FIXME))).*$/gm, "")

test("nothing is loosened or left for later", () => {
  const loose =
    /\bas any\b|: any\b|\bTODO\b|\bFIXME\b|@ts-ignore|@ts-nocheck|\b(?:test|it|describe)\.(?:skip|todo|only)\(/
  const found = files
    .filter(
      (name) =>
        /^(src|test|bench|scripts|launcher)\/.*\.(ts|mjs|c|h)$/.test(name) &&
        name !== "test/house/house.test.ts",
    )
    .filter((name) => loose.test(withoutProse(readProjectFile(name))))
  expect(found).toEqual([])
})

test("relative links in documents lead somewhere", () => {
  const broken: string[] = []
  for (const name of files.filter((file) => file.endsWith(".md"))) {
    for (const match of readProjectFile(name).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      const target = match[1] ?? ""
      if (/^[a-z]+:/.test(target)) continue
      if (!existsSync(join(projectRoot, dirname(name), target))) broken.push(`${name} → ${target}`)
    }
  }
  expect(broken).toEqual([])
})
