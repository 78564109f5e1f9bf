// The library as others use it: built, imported by its name, under Node and Bun, with the examples and with its types.
import { afterAll, expect, test } from "bun:test"
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import { connect } from "../../src/client/library.ts"
import { execute, startEngine } from "../fixtures/engine.ts"

const root = join(import.meta.dirname, "..", "..")
const bun = join(root, "node_modules", ".bin", "bun")
const engine = await startEngine()
afterAll(() => engine.close(), 60_000)

const built = await execute(["node", join(root, "scripts", "library.mjs")], { timeout: 120_000 })
if (built.code !== 0) throw new Error(built.stdout + built.stderr)

const example = (runtime: string, name: string) =>
  execute([runtime, join(root, "examples", name)], { env: engine.env })

for (const runtime of ["node", bun]) {
  const name = runtime === "node" ? "Node" : "Bun"
  test(`${name}: run and read`, async () => {
    const { code, stdout, stderr } = await example(runtime, "run-and-read.mjs")
    expect([code, stderr]).toEqual([0, ""])
    for (const line of ["stdout: line 1", "line 3", "stderr: done", "exit code 7"])
      expect(stdout).toContain(line)
  }, 30_000)

  test(`${name}: watch events until one is enough`, async () => {
    const { code, stdout, stderr } = await example(runtime, "watch-events.mjs")
    expect([code, stderr, stdout]).toEqual([0, "", "create \nstart \ndie 0\ndestroy \nseen enough\n"])
  }, 30_000)

  test(`${name}: build from a directory and run what came out`, async () => {
    const { code, stdout, stderr } = await example(runtime, "build.mjs")
    expect([code, stderr, stdout]).toEqual([0, "", "made\ntrue\nHELLO\n"])
  }, 30_000)
}

test("Bun: commands, measures, files; the container is removed at the end", async () => {
  const { code, stdout, stderr } = await example(bun, "commands-and-files.ts")
  expect([code, stderr]).toEqual([0, ""])
  expect(stdout).toBe(
    "exit code 1, said 23, complained: true\nprocesses: 1\nan archive of whole blocks: true\n",
  )
  expect(await engine.ok("ps", "-aq", "--filter", "label=example")).toBe("")
}, 30_000)

test("its types are found and right", async () => {
  const place = join(engine.work, "consumer")
  mkdirSync(join(place, "node_modules"), { recursive: true })
  symlinkSync(root, join(place, "node_modules", "sloop"))
  symlinkSync(join(root, "node_modules", "@types"), join(place, "node_modules", "@types"))
  writeFileSync(join(place, "package.json"), '{"type":"module"}')
  const file = (body: string) => `import { connect } from "sloop"\nconst engine = await connect()\n${body}`
  writeFileSync(
    join(place, "right.ts"),
    file(
      "const all = await engine.containers.list({ all: true })\nexport const ids: string[] = all.map((c) => c.Id)\n",
    ),
  )
  writeFileSync(join(place, "wrong.ts"), file("export const ids: number = engine.containers.get(1)\n"))
  const check = (name: string) =>
    execute([
      ...[join(root, "node_modules", ".bin", "tsc"), "--noEmit", "--strict", "--module", "nodenext"],
      ...[
        "--target",
        "es2024",
        "--lib",
        "es2024,esnext",
        "--types",
        "node",
        "--ignoreConfig",
        join(place, name),
      ],
    ])
  expect((await check("right.ts")).stdout).toBe("")
  expect((await check("wrong.ts")).stdout).toContain("is not assignable to")
}, 60_000)

test("aborting ends what is under way with the reason, and nothing else", async () => {
  await using sloop = await connect({ host: `unix://${engine.socket}` })
  const container = await sloop.containers.run({ image: "busybox", command: ["sleep", "1000"] })
  const stop = new AbortController()
  const reason = new Error("enough")
  const waiting = container.wait({ signal: stop.signal })
  const following = (async () => {
    for await (const _ of container.logs({ follow: true, signal: stop.signal }));
  })()
  setTimeout(() => stop.abort(reason), 100)
  const ends = await Promise.allSettled([waiting, following])
  expect(ends.map((end) => end.status === "rejected" && end.reason)).toEqual([reason, reason])
  await expect(container.inspect({ signal: stop.signal })).rejects.toBe(reason)
  expect((await container.inspect()).State.Running).toBe(true)
  await container[Symbol.asyncDispose]()
  await container[Symbol.asyncDispose]()
  await expect(container.inspect()).rejects.toMatchObject({ status: 404, kind: "not-found" })
}, 30_000)

test("builds: from a tar, an archive out, a failure, and one that is given up", async () => {
  await using sloop = await connect({ host: `unix://${engine.socket}` })
  const tar = async function* () {
    yield await new Bun.Archive({ Dockerfile: "FROM scratch\nCOPY a /a\n", a: "packed" }).bytes()
  }
  let size = 0
  const archive = sloop.build({
    tar: tar(),
    outputs: [
      {
        type: "tar",
        write: async (bytes) => {
          for await (const chunk of bytes) size += chunk.length
        },
      },
    ],
  })
  expect((await archive.result).imageId).toBeUndefined()
  expect(size).toBeGreaterThan(512)
  const seen: string[] = []
  const failing = sloop.build({ dockerfileText: "FROM busybox\nRUN echo before && exit 4\n" })
  const read = (async () => {
    for await (const event of failing) if (event.type === "output") seen.push(event.text)
  })()
  await expect(read).rejects.toThrow("exit code: 4")
  expect(seen.join("")).toBe("before\n")
  const stop = new AbortController()
  const long = sloop.build({ dockerfileText: "FROM busybox\nRUN sleep 1000\n", signal: stop.signal })
  const reason = new Error("enough")
  setTimeout(() => stop.abort(reason), 300)
  await expect(long.result).rejects.toBe(reason)
}, 30_000)

test("images, networks and volumes; a pull that fails says why", async () => {
  await using sloop = await connect({ host: `unix://${engine.socket}` })
  expect((await sloop.images.list()).flatMap(({ RepoTags }) => RepoTags)).toContain("busybox:latest")
  const network = await sloop.networks.create("lib-net")
  expect((await sloop.networks.inspect("lib-net")).Id).toBe(network)
  await sloop.networks.remove("lib-net")
  await sloop.volumes.create("lib-vol")
  expect((await sloop.volumes.list()).map(({ Name }) => Name)).toContain("lib-vol")
  await sloop.volumes.remove("lib-vol")
  const pulling = (async () => {
    for await (const _ of sloop.images.pull("127.0.0.1:1/nothing"));
  })()
  await expect(pulling).rejects.toThrow("127.0.0.1:1")
}, 30_000)

test("an older engine is spoken to in its own version", async () => {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? "")
    response.setHeader("Api-Version", "1.41").end(request.url === "/_ping" ? "OK" : "[]")
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  const old = await connect({ host: `tcp://127.0.0.1:${typeof address === "object" ? address?.port : 0}` })
  expect([old.apiVersion, await old.containers.list()]).toEqual(["1.41", []])
  old.close()
  server.close()
  expect(asked).toEqual(["/_ping", "/v1.41/containers/json"])
})
