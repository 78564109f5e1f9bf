// Builds over BuildKit's API, asked for by a client of our own that plays buildx's part: gateway, session, exports, progress.
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test"
import type { Socket } from "node:net"
import { GrpcFailure } from "../../src/api/buildkit/grpc/status.ts"
import { BUILT_ID } from "../api/fake-builder.ts"
import { createFakeEngine } from "../api/fake-engine.ts"
import { type Served, serve } from "../api/serve.ts"
import { type BuildClient, connectClient, openSession } from "./client.ts"
import { createReadingBuilder } from "./reading-builder.ts"
import {
  type Asked,
  directory,
  file,
  GO_SYMLINK,
  offeredAccounts,
  offeredAgent,
  offeredFiles,
  offeredSecrets,
  offeredUpload,
  takenFile,
  takenTree,
} from "./session-services.ts"

const { builder, seen } = createReadingBuilder()
let api: Served
let client: BuildClient
let count = 0
let id = ""
const sessions: Socket[] = []

beforeAll(async () => {
  api = await serve(createFakeEngine(), builder)
  client = await connectClient(api.socket)
})

beforeEach(() => {
  id = `build${++count}`
  seen.told.length = 0
})

afterAll(async () => {
  for (const socket of sessions) socket.destroy()
  await client[Symbol.asyncDispose]()
  await api[Symbol.asyncDispose]()
})

type Services = Parameters<typeof openSession>[2]

/** Opens this test's session; the Dockerfile is in a directory of its own. */
async function session(
  dockerfile: string,
  services: Services = {},
  context: readonly ReturnType<typeof file>[] = [],
) {
  const files = offeredFiles({ dockerfile: [file("Dockerfile", dockerfile)], context })
  sessions.push(await openSession(api.socket, id, { ...files, ...services }, "key"))
}

const request = (more: Parameters<BuildClient["build"]>[0] = {}) => ({ ref: id, session: id, ...more })

const image = [{ type: "moby", attributes: new Map([["name", "docker.io/library/x:1"]]) }]

test("a build through the gateway ends with what its exporter tells", async () => {
  await session("# say hello\n")
  const { response } = await client.build(request({ exporters: image }), {
    target: "final",
    "build-arg:A": "1",
    "label:b": "2",
  })
  expect(response.get("containerimage.config.digest")).toBe(BUILT_ID)
  const asked = seen.requests.at(-1)
  expect([asked?.target, asked?.buildArgs.get("A"), asked?.labels.get("b"), asked?.id]).toEqual([
    "final",
    "1",
    "2",
    id,
  ])
  expect(seen.exports.at(-1)?.exports[0]).toMatchObject({ type: "image" })
})

test("the frontend built in is asked for directly, as buildctl does", async () => {
  await session("# say hello\n")
  const frontendAttributes = new Map([["no-cache", "one,two"]])
  const { exporterResponse } = await client.solve(
    request({ frontend: "dockerfile.v0", frontendAttributes, exporters: image }),
  )
  expect(exporterResponse.get("image.name")).toBe("docker.io/library/x:1")
  expect(seen.requests.at(-1)).toMatchObject({ noCache: false, noCacheFilter: ["one", "two"] })
})

test("status is told from the beginning, also to those who ask when all is over", async () => {
  await session("# say hello\n# warn odd\n# cached\n")
  const during = client.status(id)
  await client.build(request(), {})
  for (const told of [await during, await client.status(id)]) {
    const vertexes = told.flatMap(({ vertexes }) => vertexes)
    expect(vertexes.map(({ name }) => name)).toContain("[1/9] say hello")
    expect(vertexes.find(({ name }) => name.includes("cached"))?.cached).toBe(true)
    expect(told.flatMap(({ logs }) => logs).map(({ msg }) => Buffer.from(msg).toString())).toEqual([
      "hello\n",
    ])
    const [warning] = told.flatMap(({ warnings }) => warnings)
    expect(Buffer.from(warning?.short ?? "").toString()).toBe("OddRule: odd (line 2)")
    expect(warning?.ranges[0]?.start?.line).toBe(2)
    expect(warning?.source?.filename).toBe("Dockerfile")
  }
})

test("a failure carries the lines of the Dockerfile, the step and the exit code", async () => {
  await session("FROM x\n# fail it did not work\n")
  const failed = await client.build(request(), {}).catch((error: unknown) => error)
  expect(failed).toBeInstanceOf(GrpcFailure)
  const { message, details } = failed as GrpcFailure
  expect(message).toBe("it did not work")
  const known = new Map(
    details.map(({ typeUrl, value }) => [
      typeUrl,
      JSON.parse(Buffer.from(value).toString()) as Record<string, unknown>,
    ]),
  )
  expect(known.get("github.com/moby/buildkit/gatewayapi.ExitMessage+json")).toEqual({ Code: 3 })
  expect(known.get("github.com/moby/buildkit/errdefs.Source+json")).toEqual({
    info: {
      filename: "Dockerfile",
      data: Buffer.from("FROM x\n# fail it did not work\n").toString("base64"),
      language: "Dockerfile",
    },
    ranges: [{ start: { line: 2 }, end: { line: 2 } }],
  })
  expect(String(known.get("github.com/moby/buildkit/errdefs.Vertex+json")?.digest)).toStartWith("sha256:")
})

test("only the contents that are wanted travel, and every kind of file arrives as it is", async () => {
  const asked: Asked = { directories: [], contents: [] }
  const context = [
    file("Dockerfile", "# read\n"),
    directory("dir"),
    file("dir/big", Buffer.alloc(3_000_000, "b")),
    file("dir/hard", "", { linkname: "dir/big" }),
    file("dir.unread", "never"),
    file("empty", ""),
    { path: "link", mode: GO_SYMLINK + 0o777, linkname: "dir/big" },
    file("sticky", "s", {
      mode: 2 ** 23 + 2 ** 20 + 0o755,
      uid: 7,
      gid: 8,
      xattrs: new Map([["user.a", Buffer.from("1")]]),
    }),
    file("ümlaut", "u"),
  ]
  sessions.push(
    await openSession(api.socket, id, offeredFiles({ context, dockerfile: context }, asked), "key"),
  )
  await client.build(request(), {})
  const found = new Map(seen.files.map((one) => [one.path, one]))
  expect([...found.keys()]).toEqual(context.map(({ path }) => path))
  expect(found.get("dir/big")?.content).toHaveLength(3_000_000)
  expect(found.get("dir/hard")).toMatchObject({ link: "dir/big", mode: 0o100644 })
  expect(found.get("link")).toMatchObject({ link: "dir/big", mode: 0o120777 })
  expect(found.get("dir")?.mode).toBe(0o040755)
  expect(found.get("sticky")).toMatchObject({
    mode: 0o105755,
    uid: 7,
    gid: 8,
    mtime: 1_700_000_000_000_000_000n,
  })
  expect(found.get("sticky")?.xattrs.get("user.a")).toEqual(Buffer.from("1"))
  expect(asked.contents).toEqual(["Dockerfile", "Dockerfile", "dir/big", "empty", "sticky", "ümlaut"])
  expect(asked.directories[1]?.exclude).toEqual(["skipped", "schräg/x, y"])
})

test("ten thousand small files come quickly", async () => {
  const context = Array.from({ length: 10_000 }, (_, index) =>
    file(`f${String(index).padStart(5, "0")}`, `content ${index}`),
  )
  await session("# read\n", {}, context)
  const since = performance.now()
  await client.build(request(), {})
  expect(seen.files).toHaveLength(10_000)
  expect(seen.files[9_999]?.content).toBe("content 9999")
  expect(performance.now() - since).toBeLessThan(20_000)
})

test("secrets, accounts and agents are asked for when a step wants them", async () => {
  const services = {
    ...offeredSecrets({ token: "hush" }),
    ...offeredAccounts({
      "registry-1.docker.io": { username: "u", secret: "p" },
      "r.test": { username: "", secret: "tok" },
    }),
    ...offeredAgent(Buffer.from("keys")),
  }
  await session(
    "# secret token\n# secret none\n# account docker.io\n# account r.test\n# account no.test\n# ssh default\n# ssh other\n",
    services,
  )
  await client.build(request(), {})
  expect(seen.told).toEqual([
    "hush",
    "no secret",
    JSON.stringify({ username: "u", password: "p", identityToken: "", registryToken: "" }),
    JSON.stringify({ username: "", password: "", identityToken: "tok", registryToken: "" }),
    '"no account"',
    Buffer.from("keys").toString("hex"),
    "no agent other",
  ])
})

test("a session that offers none of these has none", async () => {
  await session("# secret token\n# account docker.io\n# ssh default\n")
  await client.build(request(), {})
  expect(seen.told).toEqual(["no secret", '"no account"', "no agent default"])
})

test("an uploaded archive is the context", async () => {
  await session("", offeredUpload(Buffer.from("archive")))
  await client.build(request(), { context: "http://buildkit-session/up" })
  expect(seen.requests.at(-1)?.context.type).toBe("tar")
  expect(seen.files).toEqual([expect.objectContaining({ path: "(tar)", content: "archive" })])
})

test("a file and a tree are sent to the client", async () => {
  const taken = { bytes: Buffer.alloc(0), index: "" }
  await session("", takenFile(taken))
  await client.build(request({ exporters: [{ type: "oci", attributes: new Map() }] }), {})
  expect(taken.bytes.length).toBeGreaterThan(5 << 20)
  expect(taken.bytes.subarray(0, 3).toString()).toBe("bin")
  expect(taken.index).toBe("0")

  id = `build${++count}`
  const tree = new Map<string, string>()
  await session("", takenTree(tree))
  await client.build(request({ exporters: [{ type: "local", attributes: new Map() }] }), {})
  expect([...tree.keys()]).toEqual(["bin", "bin/tool", "empty", "large", "link"])
  expect([tree.get("bin/tool"), tree.get("empty"), tree.get("link")]).toEqual(["#!tool", "", "bin/tool"])
  expect(tree.get("large")).toHaveLength(5 << 20)
})

test("what is asked about a Dockerfile is answered without building it", async () => {
  await session("FROM x\n")
  for (const [name, what] of [
    ["lint", "check"],
    ["outline", "outline"],
    ["targets", "targets"],
  ] as const) {
    const ref = `${id}-${name}`
    const { result } = await client.build(
      { ...request(), ref, internal: true },
      { requestid: `frontend.${name}` },
    )
    const text = (key: string) => Buffer.from(result?.metadata.get(key) ?? "").toString()
    expect(text("result.txt")).toBe(`${what} of 7 bytes\n`)
    expect(JSON.parse(text("result.json"))).toEqual({ what })
    expect(text("version")).toBe("1.0.0")
    expect(result?.metadata.has("result.statuscode")).toBe(name === "lint")
  }
  const described = await client.build(
    { ...request(), ref: `${id}-d` },
    { requestid: "frontend.subrequests.describe" },
  )
  expect(Buffer.from(described.result?.metadata.get("result.txt") ?? "").toString()).toContain("outline")
  const odd = await client
    .build({ ...request(), ref: `${id}-o` }, { requestid: "frontend.nothing" })
    .catch((error: GrpcFailure) => error)
  expect(odd).toMatchObject({ message: "unsupported request frontend.nothing" })
})

test("several platforms have a handle each", async () => {
  await session("")
  const { result } = await client.build(request(), { platform: "linux/amd64,linux/arm64" })
  expect([...(result?.refs?.refs.keys() ?? [])]).toEqual(["linux/amd64", "linux/arm64"])
  const platforms = JSON.parse(Buffer.from(result?.metadata.get("refs.platforms") ?? "").toString()) as {
    Platforms: { ID: string }[]
  }
  expect(platforms.Platforms.map(({ ID }) => ID)).toEqual(["linux/amd64", "linux/arm64"])
  expect(seen.requests.at(-1)?.platforms).toHaveLength(2)
})
