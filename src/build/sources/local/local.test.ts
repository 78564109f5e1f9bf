// Contexts of this machine: directories read in place, tars that flow in, what is left out, and what is remembered of them.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { execFileSync } from "node:child_process"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import fc from "fast-check"
import { tarOf } from "../../../../launcher/test/tar.ts"
import { openStepGround, type StepGround } from "../../operations/testing/ground.ts"
import type { BuildRooms } from "../../rooms.ts"
import type { ContextTree } from "../../solver/solver.ts"
import type { OpenContext } from "../sources.ts"
import { openDirectory, openTar, recoverContexts } from "./local.ts"
import { contextsDirectory } from "./tree.ts"

let ground: StepGround
const places: string[] = []
const signal = new AbortController().signal
beforeAll(async () => {
  ground = await openStepGround()
})
afterAll(async () => {
  await ground.close()
  for (const place of places) rmSync(place, { recursive: true, force: true })
})

const place = (entries: Readonly<Record<string, string>> = {}): string => {
  const directory = mkdtempSync(join(tmpdir(), "sll-"))
  places.push(directory)
  for (const [path, text] of Object.entries(entries)) {
    mkdirSync(join(directory, path, ".."), { recursive: true })
    writeFileSync(join(directory, path), text)
  }
  return directory
}

const contextOf = async (opened: OpenContext, ignore: readonly string[] = []): Promise<ContextTree> => {
  const tree = await opened.tree({ ignore })
  if (tree.kind !== "context") throw new Error("no context")
  return tree.context
}

/** Rooms whose requests to the launcher are told of. */
const watched = (asked: string[]): BuildRooms => ({
  ...ground.rooms,
  kernel: Object.assign(Object.create(ground.rooms.kernel), {
    receive: (...words: Parameters<typeof ground.rooms.kernel.receive>) => {
      asked.push(`${words[0][0]?.[0]} ${words[0].filter(([name]) => name === "file").length}`)
      return ground.rooms.kernel.receive(...words)
    },
  }),
})

test("ignored files are no part of a context, exceptions are, with what is above them", async () => {
  const directory = place({ "a/b/c": "1", "a/b/d": "2", "node_modules/x/y": "3", f: "4", "g.log": "5" })
  const context = await contextOf(await openDirectory(ground.rooms, directory, signal), [
    "node_modules",
    "*.log",
    "a",
    "!a/b/d",
  ])
  expect((await context.entries()).map(({ path }) => path)).toEqual(["a", "a/b", "a/b/d", "f"])
  const plain = await contextOf(await openDirectory(ground.rooms, directory, signal), ["node_modules", "a/b"])
  expect((await plain.entries()).map(({ path }) => path)).toEqual(["a", "f", "g.log"])
})

test("small files are read inside the context only", async () => {
  const directory = place({ Dockerfile: "FROM scratch", "d/x": "in" })
  symlinkSync("/etc/passwd", join(directory, "out"))
  symlinkSync("d/x", join(directory, "in"))
  execFileSync("mkfifo", [join(directory, "pipe")])
  const opened = await openDirectory(ground.rooms, directory, signal)
  expect(Buffer.from((await opened.readFile("Dockerfile")) ?? "").toString()).toBe("FROM scratch")
  expect(Buffer.from((await opened.readFile("in")) ?? "").toString()).toBe("in")
  for (const path of ["out", "pipe", "none", "../../../etc/passwd", "d"])
    expect(await opened.readFile(path)).toBeUndefined()
  await expect(openDirectory(ground.rooms, join(directory, "none"), signal)).rejects.toMatchObject({
    kind: "invalid",
  })
  await expect(openDirectory(ground.rooms, join(directory, "Dockerfile"), signal)).rejects.toMatchObject({
    kind: "invalid",
  })
})

test("only files that changed are hashed again, in this process and in the next", async () => {
  const directory = place({ a: "1", b: "2", c: "3" })
  const old = new Date(Date.now() - 60_000)
  await Bun.sleep(60)
  const digests = async (): Promise<{ asked: string[]; found: ReadonlyMap<string, string> }> => {
    const asked: string[] = []
    const context = await contextOf(await openDirectory(watched(asked), directory, signal))
    const found = await context.digests(["a", "b", "c"])
    expect(await context.unchanged(["."])).toBe(true)
    context.release()
    await Bun.sleep(5)
    return { asked: asked.filter((one) => one.startsWith("digest")), found }
  }
  const first = await digests()
  expect(first.asked).toEqual(["digest 3"])
  expect(first.found.get("a")).toBe("sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b")
  expect((await digests()).asked).toEqual([])
  writeFileSync(join(directory, "b"), "4")
  // Times that were set back do not hide it: the change time is looked at too.
  utimesSync(join(directory, "b"), old, old)
  await Bun.sleep(60)
  const second = await digests()
  expect(second.asked).toEqual(["digest 1"])
  expect(second.found.get("b")).not.toBe(first.found.get("b"))
  expect(
    readdirSync(contextsDirectory(ground.rooms.root)).filter((name) => name.endsWith(".idx")).length,
  ).toBeGreaterThan(0)
})

test("a file that was only just changed is not trusted by its times", async () => {
  const directory = place({ a: "1" })
  const asked: string[] = []
  for (let count = 0; count < 2; count++) {
    writeFileSync(join(directory, "a"), "1")
    const context = await contextOf(await openDirectory(watched(asked), directory, signal))
    await context.digests(["a"])
    context.release()
  }
  expect(asked.filter((one) => one.startsWith("digest")).length).toBe(2)
})

async function* once(bytes: Uint8Array) {
  yield bytes
}

test("tars flow in, plain or compressed, and are gone after the build", async () => {
  const directory = place({ "d/f": "text" })
  for (const flag of ["", "z", "j", "J"]) {
    const tar = execFileSync("tar", [`-c${flag}f`, "-", "-C", directory, "."])
    const opened = await openTar(ground.rooms, once(tar), signal)
    const context = await contextOf(opened)
    expect((await context.entries()).map(({ path }) => path)).toEqual(["d", "d/f"])
    expect(Buffer.from((await opened.readFile("d/f")) ?? "").toString()).toBe("text")
    context.release()
    opened.release()
    for (let tries = 0; existsSync(context.directory) && tries < 200; tries++) await Bun.sleep(5)
    expect(existsSync(context.directory)).toBe(false)
  }
})

test("a hostile tar is refused and leaves nothing", async () => {
  const text = Buffer.from("x")
  const tars = [
    tarOf({ name: "../escaped", body: text }),
    tarOf({ name: "a/../../escaped", body: text }),
    tarOf({ name: "l", kind: "1", link: "/etc/shadow" }),
    Buffer.from("no tar at all, whatever it says".repeat(40)),
  ]
  for (const tar of tars)
    await expect(openTar(ground.rooms, once(tar), signal)).rejects.toMatchObject({ kind: "invalid" })
  await openTar(
    ground.rooms,
    once(tarOf({ name: "l", kind: "2", link: "/tmp" }, { name: "l/sloop-out", body: text })),
    signal,
  )
  expect(existsSync("/tmp/sloop-out")).toBe(false)
  await recoverContexts(ground.rooms)
  expect(readdirSync(contextsDirectory(ground.rooms.root)).filter((name) => name.startsWith("tar-"))).toEqual(
    [],
  )
})

test("no bytes make a tar context do more than be refused", async () => {
  const good = tarOf(
    { name: "a/", kind: "5" },
    { name: "a/f", body: Buffer.from("text") },
    { name: "l", kind: "2", link: "a" },
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 6 }),
      async (damage) => {
        const tar = Buffer.from(good)
        for (const [at, value] of damage) tar[at] = value
        try {
          const opened = await openTar(ground.rooms, once(tar), signal)
          await (await contextOf(opened)).entries()
          opened.release()
        } catch (error) {
          expect(error).toMatchObject({ kind: "invalid" })
        }
      },
    ),
    { numRuns: 40 },
  )
})

test("sockets, pipes and names of any bytes are told of", async () => {
  const directory = place({ "line\nbreak": "1" })
  execFileSync("mkfifo", [join(directory, "pipe")])
  writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0xff])]), "raw")
  const server = createServer().listen(join(directory, "socket"))
  try {
    const context = await contextOf(await openDirectory(ground.rooms, directory, signal))
    const entries = await context.entries()
    expect(entries.map(({ path }) => path)).toEqual(["line\nbreak", "pipe", "socket", "\xff"])
    expect(entries.at(-1)?.raw).toEqual(Buffer.from([0xff]))
    expect((await context.digests(["line\nbreak", "\xff"])).size).toBe(2)
  } finally {
    server.close()
  }
})
