// Contexts of every kind through one door.
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { gzipSync } from "node:zlib"
import { gather } from "../../../test/fixtures/busybox-image.ts"
import { writeTar } from "../../base/tar-writer.ts"
import { hostPlatform } from "../../oci/platform.ts"
import type { ContextSource } from "../build.ts"
import type { HttpNode } from "../graph/graph.ts"
import { openSources } from "./open.ts"
import { startGitServers } from "./testing/git-server.ts"
import { contextOf, filesOf, openSourceGround, type SourceGround } from "./testing/ground.ts"

setDefaultTimeout(30_000)

let ground: SourceGround
let server: Server
let body: Uint8Array
const base = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
const tar = await gather(
  writeTar([
    { name: "Dockerfile", type: "file", body: Buffer.from("FROM scratch\n") },
    { name: "a", type: "file", body: Buffer.from("1") },
  ]),
)

beforeEach(async () => {
  ground = await openSourceGround()
  server = createServer((request, response) => {
    if (request.url === "/none") response.writeHead(404).end()
    else response.end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
})
afterEach(async () => {
  await new Promise((resolve) => server.close(resolve))
  await ground.close()
})

const open = (source: ContextSource) =>
  openSources(ground.rooms).open(source, "context", ground.run(), hostPlatform())
const text = (bytes: Uint8Array | undefined) =>
  bytes === undefined ? undefined : new TextDecoder().decode(bytes)

for (const [what, bytes] of [
  ["tar", tar],
  ["compressed tar", gzipSync(tar)],
] as const)
  test(`a ${what} at an address is a context`, async () => {
    body = bytes
    const context = await open({ type: "remote", url: `${base()}/context` })
    expect(text(await context.readFile("Dockerfile"))).toBe("FROM scratch\n")
    expect(await filesOf(contextOf(await context.tree({ ignore: [] })))).toEqual(["Dockerfile 644", "a 644"])
    expect(context.materials.map(({ uri }) => uri)).toEqual([`${base()}/context`])
    context.release()
  })

test("anything else at an address is the Dockerfile", async () => {
  body = Buffer.from("FROM scratch\nENV A=1\n")
  const context = await open({ type: "remote", url: `${base()}/Some.dockerfile` })
  expect(text(await context.readFile("Dockerfile"))).toBe("FROM scratch\nENV A=1\n")
  expect(await context.readFile(".dockerignore")).toBeUndefined()
  context.release()
})

test("a Git address is a context, from its subdirectory", async () => {
  const servers = await startGitServers()
  try {
    const commit = servers.commit("app", { "sub/Dockerfile": "FROM scratch\n", other: "x\n" })
    const url = `${servers.daemon}/app.git#main:sub`
    const context = await open({ type: "remote", url })
    expect(text(await context.readFile("Dockerfile"))).toBe("FROM scratch\n")
    expect(await context.readFile("../other")).toBeUndefined()
    expect(context.materials).toEqual([{ uri: `${servers.daemon}/app.git#main`, digest: `sha1:${commit}` }])
    context.release()
  } finally {
    await servers.close()
  }
})

test("nothing at all is an empty context", async () => {
  const context = await open({ type: "empty" })
  expect(await context.readFile("Dockerfile")).toBeUndefined()
  expect(await filesOf(contextOf(await context.tree({ ignore: [] })))).toEqual([])
  context.release()
})

test("what another build made is its layers", async () => {
  const layers = [{ diffId: `sha256:${"1".repeat(64)}`, blob: "", size: 1 }]
  const image = {
    platform: hostPlatform(),
    chainId: "sha256:chain",
    layers,
    config: {
      architecture: "amd64",
      variant: "",
      os: "linux",
      author: "",
      comment: "",
      created: 0,
      config: { user: "", exposedPorts: [], env: [], volumes: [], workingDirectory: "", labels: {} },
      diffIds: [],
      history: [],
    },
    base: "",
    baseLayers: 0,
    baseHistory: 0,
    materials: [],
  }
  const context = await open({ type: "result", image })
  expect(await context.tree({ ignore: [] })).toEqual({ kind: "layers", chainId: "sha256:chain", layers })
})

test("what is no address is refused", async () => {
  await expect(open({ type: "remote", url: "file:///etc" })).rejects.toThrow(
    "neither a Git nor an HTTP address",
  )
})

test("failures to find out what an address has are told as BuildKit tells them, and what is kept can go", async () => {
  body = Buffer.from("x")
  const node = (url: string): HttpNode => ({
    type: "http",
    digest: "sha256:node",
    definition: "sha256:definition",
    name: "ADD",
    platform: hostPlatform(),
    fresh: false,
    url,
    checksum: "",
    filename: "f",
  })
  const sources = openSources(ground.rooms)
  await expect(sources.remoteKey(node(`${base()}/none`), ground.run())).rejects.toThrow(
    "failed to load cache key: invalid response status 404",
  )
  await sources.remoteKey(node(`${base()}/f`), ground.run())
  const [kept] = await sources.kept()
  expect(kept).toMatchObject({ kind: "source.http", bytes: 1 })
  expect(await sources.removeKept(kept?.id ?? "")).toBe(1)
  await sources.recover()
})
