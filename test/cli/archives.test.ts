// save, load, export, import: the same words and files as the docker client's.
import { afterAll, expect, test } from "bun:test"
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { startEngine } from "../fixtures/engine.ts"
import { expectSame } from "./side-by-side.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const at = (name: string) => join(engine.work, name)

test("save writes the file whole, with private mode, and load reads it from a file or standard input", async () => {
  const saved = await engine.sloop("save", "-o", at("image.tar"), "busybox")
  expect(saved).toEqual({ code: 0, stdout: "", stderr: "" })
  expect(statSync(at("image.tar")).mode & 0o777).toBe(0o600)
  expect(readdirSync(engine.work).filter((name) => name.includes("partial"))).toEqual([])
  const words = { code: 0, stdout: "Loaded image: busybox:latest\n", stderr: "" }
  expect(await engine.sloop("load", "-i", at("image.tar"))).toEqual(words)
  expect(await engine.sloopWith({ stdin: readFileSync(at("image.tar")) }, "load")).toEqual(words)
  await expectSame(engine, ["load", "-i", at("image.tar")])
  await expectSame(engine, ["load", "-qi", at("image.tar")])
}, 30_000)

test("what is no archive is refused with the daemon's words", async () => {
  writeFileSync(at("broken"), "x".repeat(5000))
  for (const words of [
    ["load", "-i", at("broken")],
    ["import", at("broken")],
    ["save", "-o", at("no/such/directory"), "busybox"],
    ["save", "-o", engine.work, "busybox"],
    ["save", "-o", at("broken/file"), "busybox"],
    ["save", "-o", "/dev/null", "busybox"],
    ["export", "-o", at("no/such/directory"), "nope"],
  ])
    await expectSame(engine, words)
  const absent = await engine.sloop("save", "-o", at("absent.tar"), "nope")
  expect(absent.code).toBe(1)
  expect(existsSync(at("absent.tar"))).toBe(false)
}, 30_000)

test("export, then import, gives a working image", async () => {
  await engine.ok("create", "--name", "source", "busybox", "true")
  expect((await engine.sloop("export", "-o", at("root.tar"), "source")).code).toBe(0)
  const change = ["-c", 'CMD ["echo", "imported"]', "-c", "ENV PATH=/bin", "-m", "from a test"]
  const made = await engine.sloop("import", ...change, at("root.tar"), "again:1")
  expect(made.stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/)
  expect((await engine.sloop("run", "--rm", "again:1")).stdout).toBe("imported\n")
  const piped = await engine.sloopWith({ stdin: readFileSync(at("root.tar")) }, "import", "-", "again:2")
  expect(piped.code).toBe(0)
  await expectSame(engine, ["history", "--no-trunc", "again:1"])
}, 30_000)
