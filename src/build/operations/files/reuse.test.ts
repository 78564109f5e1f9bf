// A layer made with the help of the last one is byte for byte what it would be without.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { copyAction, fileNode } from "../../graph/testing/file-nodes.ts"
import { openDirectory } from "../../sources/local/local.ts"
import { emptyTree } from "../operations.ts"
import { openStepGround, type StepGround } from "../testing/ground.ts"
import { openFiles } from "./files.ts"
import { stateBytes, stateWithin } from "./reuse.ts"

let ground: StepGround
const place = mkdtempSync(join(tmpdir(), "slc-"))
beforeAll(async () => {
  ground = await openStepGround({ form: "erofs" })
})
afterAll(async () => {
  await ground.close()
  rmSync(place, { recursive: true, force: true })
})

const everything = fileNode([copyAction({ destination: "/app/" })])

const pathOf = (at: number) => join(place, `d${Math.floor(at / 60)}`, `f${at}`)
const write = (at: number, text: string) => writeFileSync(pathOf(at), text.padEnd(24_000 + at, `${at} `))

test("whatever changes, wherever: the digest is that of a layer made from nothing", async () => {
  for (let at = 0; at < 600; at++) {
    if (at % 60 === 0) mkdirSync(join(place, `d${at / 60}`))
    write(at, "first")
  }
  const remembering = openFiles(ground.rooms)
  const layerOf = async (files: ReturnType<typeof openFiles>) => {
    const opened = await openDirectory(ground.rooms, place, new AbortController().signal)
    const tree = await opened.tree({ ignore: [] })
    const made = await files.files(everything, emptyTree, new Map([[0, tree]]), ground.run())
    opened.release()
    return made.layers[0]?.diffId
  }
  const changes: readonly (readonly [what: string, change: () => void])[] = [
    ["nothing yet", () => {}],
    ["the last file", () => write(599, "last")],
    ["one in the middle", () => write(301, "middle")],
    ["the first file", () => write(0, "first of all")],
    ["a longer one", () => writeFileSync(pathOf(450), "x".repeat(100_000))],
    ["one more", () => writeFileSync(join(place, "d9", "more"), "more")],
    ["one less", () => rmSync(pathOf(420))],
    ["a mode", () => chmodSync(pathOf(500), 0o755)],
    ["a directory's mode", () => chmodSync(join(place, "d7"), 0o700)],
    ["a new directory at the end", () => mkdirSync(join(place, "e"))],
  ]
  const seen = new Set<string | undefined>()
  for (const [what, change] of changes) {
    change()
    // What changed a moment ago is not trusted.
    await Bun.sleep(40)
    const helped = await layerOf(remembering)
    expect([what, helped]).toEqual([what, await layerOf(openFiles(ground.rooms))])
    seen.add(helped)
  }
  expect(seen.size).toBe(changes.length)
}, 120_000)

test("the last state within the beginning is taken", () => {
  const states = ["a", "b", "c"].map((digit) => digit.repeat(64)).join("")
  expect(stateWithin(states, stateBytes - 1)).toBe(undefined)
  expect(stateWithin(states, stateBytes)).toEqual({ bytes: stateBytes, state: "a".repeat(64) })
  expect(stateWithin(states, 3 * stateBytes - 1)).toEqual({ bytes: 2 * stateBytes, state: "b".repeat(64) })
  expect(stateWithin(states, 9 * stateBytes)).toEqual({ bytes: 3 * stateBytes, state: "c".repeat(64) })
  expect(stateWithin("", 9 * stateBytes)).toBe(undefined)
})
