// `sloop build` with an engine that does not see the client's files: all that is needed of them is asked for and sent.
import { afterAll, expect, test } from "bun:test"
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { connect, createServer } from "node:net"
import { join } from "node:path"
import { execute, program, startEngine } from "../fixtures/engine.ts"

const engine = await startEngine()
const { work } = engine

// What the client says of its directories is made wrong on the way, as if it stood in a container or elsewhere.
const far = join(engine.root, "far.sock")
const between = createServer((client) => {
  const server = connect(engine.socket)
  client.on("data", (chunk: Buffer) => {
    const text = chunk.toString("latin1")
    const wrong = text.replaceAll(
      /"Inode":"(\d)/g,
      (_, digit: string) => `"Inode":"${(Number(digit) + 1) % 10}`,
    )
    server.write(wrong, "latin1")
  })
  server.on("data", (chunk: Buffer) => client.write(chunk))
  client.on("close", () => server.destroy())
  server.on("close", () => client.destroy())
  client.on("error", () => undefined)
  server.on("error", () => undefined)
})
await new Promise<void>((resolve) => between.listen(far, resolve))
afterAll(async () => {
  between.close()
  await engine.close()
}, 60_000)

async function build(...words: readonly string[]): Promise<string> {
  const { code, stderr } = await execute([...program(), "build", "--progress=plain", ...words], {
    env: { ...engine.env, DOCKER_HOST: `unix://${far}` },
    timeout: 60_000,
  })
  if (code !== 0) throw new Error(stderr)
  return stderr
}

function place(name: string, files: Readonly<Record<string, string>>): string {
  const directory = join(work, name)
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(directory, path, ".."), { recursive: true })
    writeFileSync(join(directory, path), text)
  }
  return directory
}

test("a directory without what its ignore file leaves out, and from the cache the second time", async () => {
  const directory = place("one", {
    Dockerfile: "FROM busybox\nCOPY . /all\n",
    ".dockerignore": "*.txt\nsub/*\n!sub/kept\n",
    a: "1",
    "b.txt": "",
    "sub/kept": "",
    "sub/left": "",
  })
  symlinkSync("a", join(directory, "link"))
  await build("-t", "far:1", directory)
  const listed = await engine.ok("run", "--rm", "far:1", "sh", "-c", "cd /all && find . | sort")
  expect(listed.split("\n")).toEqual([
    ".",
    "./.dockerignore",
    "./Dockerfile",
    "./a",
    "./link",
    "./sub",
    "./sub/kept",
  ])
  expect(await build("-t", "far:1", directory)).toContain("2 of 2 steps cached")
}, 30_000)

test("a Dockerfile elsewhere with an ignore file of its own, a named context, an output", async () => {
  const directory = place("two", { ".dockerignore": "a\n", a: "1", b: "2" })
  const elsewhere = place("files", {
    D: "FROM scratch\nCOPY . /all/\nCOPY --from=other x /x\n",
    "D.dockerignore": "b\n.dockerignore\n",
  })
  const other = place("other", { x: "other's", y: "" })
  const out = join(work, "out")
  await build("-f", join(elsewhere, "D"), "--build-context", `other=${other}`, "-o", out, directory)
  expect(Bun.spawnSync(["sh", "-c", `cd ${out} && find . -type f | sort`]).stdout.toString()).toBe(
    "./all/a\n./x\n",
  )
  expect(readFileSync(join(out, "x"), "utf8")).toBe("other's")
}, 30_000)
