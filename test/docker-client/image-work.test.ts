// Images made of images and of what lies elsewhere: import from a URL, squash, diff, the tree.
import { afterAll, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { startEngine } from "../fixtures/engine.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 30_000)
const { ok, docker } = engine
const sloop = async (...words: readonly string[]) => {
  const { code, stdout, stderr } = await engine.sloop(...words)
  expect([code, stderr]).toEqual([0, ""])
  return stdout.trimEnd().split("\n")
}

await ok("run", "--name", "one", "busybox", "sh", "-c", "echo 1 > /first; ln /first /linked; rm /bin/vi")
await ok("commit", "one", "stacked:1")
await ok(
  "run",
  "--name",
  "two",
  "stacked:1",
  "sh",
  "-c",
  "echo 2 > /second; echo more >> /first; chmod 700 /tmp",
)
await ok("commit", "-c", 'CMD ["cat","/first"]', "two", "stacked:2")

// Overlay breaks a hard link when one of its names is written to, so that /linked stays as it was.
test("what differs between two images is told file by file", async () => {
  expect(await sloop("image", "diff", "busybox", "stacked:1")).toEqual(["D /bin/vi", "A /first", "A /linked"])
  const second = await sloop("image", "diff", "stacked:1", "stacked:2")
  expect(second).toEqual(["C /first", "A /second", "C /tmp"])
  expect((await engine.sloop("image", "diff", "busybox", "busybox")).stdout).toBe("")
})

test("a squashed image has one layer and the same files", async () => {
  const [id] = await sloop("image", "squash", "stacked:2", "flat")
  expect(await ok("image", "inspect", "-f", "{{.Id}} {{len .RootFS.Layers}}", "flat:latest")).toBe(`${id} 1`)
  expect((await engine.sloop("image", "diff", "stacked:2", "flat")).stdout).toBe("")
  expect(await ok("run", "--rm", "flat")).toBe("1\nmore")
  expect((await docker("run", "--rm", "flat", "ls", "/bin/vi")).code).toBe(1)
})

test("the tree shows which image stands on which", async () => {
  const names = (await sloop("images", "--tree")).map((line) => line.split("   ")[0]?.trimEnd())
  expect(names).toContain("busybox:latest")
  expect(names).toContain("└─ stacked:1")
  expect((await sloop("images", "--tree")).some((line) => line.startsWith("   └─ stacked:2"))).toBe(true)
})

test("a root file system comes from a URL", async () => {
  await ok("export", "-o", join(engine.work, "root.tar"), "one")
  const tar = readFileSync(join(engine.work, "root.tar"))
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: ({ url }) => (url.endsWith("/root.tar") ? new Response(tar) : new Response("", { status: 404 })),
  })
  try {
    await ok("import", `http://127.0.0.1:${server.port}/root.tar`, "fetched:1")
    expect(await ok("run", "--rm", "fetched:1", "/bin/cat", "/first")).toBe("1")
    const missing = await docker("import", `http://127.0.0.1:${server.port}/none.tar`)
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining("the server answered 404")])
  } finally {
    await server.stop(true)
  }
  expect((await docker("import", "ftp://host/x.tar")).code).toBe(1)
})
