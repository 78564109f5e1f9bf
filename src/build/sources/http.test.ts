// Files at HTTP addresses, from a server that stalls, lies, redirects and changes its mind.
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test"
import { createHash } from "node:crypto"
import { readFileSync, statSync } from "node:fs"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import type { HttpNode } from "../graph/graph.ts"
import type { StepRun } from "../operations/operations.ts"
import { openHttp } from "./http.ts"
import { contextOf, filesOf, openSourceGround, type SourceGround } from "./testing/ground.ts"

setDefaultTimeout(20_000)

let ground: SourceGround
let server: Server
let answer: (request: IncomingMessage, response: ServerResponse) => void
const asked: { url: string; headers: IncomingMessage["headers"] }[] = []
const base = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`

beforeEach(async () => {
  asked.length = 0
  answer = (_, response) => response.end("hello")
  ground = await openSourceGround()
  server = createServer((request, response) => {
    asked.push({ url: request.url ?? "", headers: request.headers })
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await ground.close()
})

const node = (url: string, change: Partial<HttpNode> = {}): HttpNode => ({
  type: "http",
  digest: "sha256:node",
  definition: "sha256:definition",
  name: "ADD",
  platform: { os: "linux", architecture: "amd64", variant: "" },
  fresh: false,
  url,
  checksum: "",
  filename: "file.txt",
  ...change,
})
const sha256 = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`
const source = (limits = {}) => openHttp(ground.rooms, limits)

const contents = async (run: StepRun, given: HttpNode, limits = {}): Promise<string> => {
  const { tree } = await source(limits).fetch(given, run)
  const text = readFileSync(join(tree.directory, given.filename), "utf8")
  tree.release()
  return text
}
const failing = async (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "nothing failed",
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  )

test("a file is the engine's alone, has the server's time, and its digest is told", async () => {
  answer = (_, response) => {
    response.setHeader("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
    response.end("hello")
  }
  const { tree, material } = await source().fetch(node(`${base()}/a/file.txt`), ground.run())
  expect(await filesOf(tree)).toEqual(["file.txt 600"])
  const [entry] = (await tree.entries()).filter(({ path }) => path === "file.txt")
  expect(entry?.mtime).toBe("1445412480000000000")
  expect(material).toEqual({ uri: `${base()}/a/file.txt`, digest: sha256("hello") })
  tree.release()
})

test("without the server's time it is of 1970", async () => {
  const { tree } = await source().fetch(node(`${base()}/x`), ground.run())
  expect(statSync(join(tree.directory, "file.txt")).mtimeMs).toBe(0)
  tree.release()
})

test("within a build an address is asked for once", async () => {
  const http = source()
  const run = ground.run()
  const key = await http.key(node(`${base()}/x`), run)
  const { tree } = await http.fetch(node(`${base()}/x`), run)
  tree.release()
  expect(asked).toHaveLength(1)
  expect(key).toContain(sha256("hello"))
})

test("a next build asks by ETag, and keeps what has not changed", async () => {
  let body = "one"
  answer = (request, response) => {
    const etag = `"${body}"`
    response.setHeader("ETag", etag)
    if (request.headers["if-none-match"] === etag) response.writeHead(304).end()
    else response.end(body)
  }
  const http = source()
  const first = await http.key(node(`${base()}/x`), ground.run())
  const second = await http.key(node(`${base()}/x`), ground.run())
  expect(second).toBe(first)
  expect(asked.map(({ headers }) => headers["if-none-match"])).toEqual([undefined, '"one"'])
  body = "two"
  expect(await http.key(node(`${base()}/x`), ground.run())).not.toBe(first)
  expect(await contents(ground.run(), node(`${base()}/x`))).toBe("two")
})

test("or by the time of its last change", async () => {
  answer = (request, response) => {
    response.setHeader("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
    if (request.headers["if-modified-since"] !== undefined) response.writeHead(304).end()
    else response.end("hello")
  }
  expect(await contents(ground.run(), node(`${base()}/x`))).toBe("hello")
  expect(await contents(ground.run(), node(`${base()}/x`))).toBe("hello")
  expect(asked[1]?.headers["if-modified-since"]).toBe("Wed, 21 Oct 2015 07:28:00 GMT")
})

test("a version that a build has asked for stays, whatever another build finds", async () => {
  const http = source()
  const run = ground.run()
  await http.key(node(`${base()}/x`), run)
  answer = (_, response) => response.end("changed")
  await http.key(node(`${base()}/x`), ground.run())
  const { tree } = await http.fetch(node(`${base()}/x`), run)
  expect(readFileSync(join(tree.directory, "file.txt"), "utf8")).toBe("hello")
  tree.release()
})

test("a checksum is a key by itself, is verified, and makes asking again needless", async () => {
  const http = source()
  const proven = node(`${base()}/x`, { checksum: sha256("hello") })
  expect(await http.key(proven, ground.run())).toBe(`${sha256("hello")} file.txt`)
  expect(asked).toHaveLength(0)
  expect(await contents(ground.run(), proven)).toBe("hello")
  expect(await contents(ground.run(), proven)).toBe("hello")
  expect(asked).toHaveLength(1)
  const wrong = node(`${base()}/x`, { checksum: sha256("other") })
  expect(await failing(http.fetch(wrong, ground.run()))).toBe(
    `digest mismatch ${sha256("hello")}: ${sha256("other")}`,
  )
  const longer = createHash("sha512").update("hello").digest("hex")
  expect(await contents(ground.run(), node(`${base()}/y`, { checksum: `sha512:${longer}` }))).toBe("hello")
})

test("redirects are followed, relative ones too, without what belongs to another origin", async () => {
  answer = (request, response) => {
    if (request.url === "/end") response.end("there")
    else if (request.url === "/two") response.writeHead(307, { Location: "end" }).end()
    else response.writeHead(302, { Location: `${base().replace("127.0.0.1", "localhost")}/two` }).end()
  }
  const url = `${base().replace("http://", "http://ann:secret@")}/one`
  expect(await contents(ground.run(), node(url))).toBe("there")
  const authorizations = asked.map(({ headers }) => headers.authorization)
  expect(authorizations).toEqual([
    `Basic ${Buffer.from("ann:secret").toString("base64")}`,
    undefined,
    undefined,
  ])
})

test("redirects that never end, and those to what is no HTTP address, fail", async () => {
  answer = (_, response) => response.writeHead(302, { Location: "/again" }).end()
  expect(await failing(contents(ground.run(), node(`${base()}/x`)))).toContain("redirects more than 10 times")
  answer = (_, response) => response.writeHead(302, { Location: "file:///etc/shadow" }).end()
  expect(await failing(contents(ground.run(), node(`${base()}/x`)))).toContain("is no HTTP address")
})

test("a status that is no success is told as BuildKit tells it", async () => {
  answer = (_, response) => response.writeHead(404).end("no")
  expect(await failing(contents(ground.run(), node(`${base()}/x`)))).toBe("invalid response status 404")
})

test("a server that stalls in the middle, or never answers, is given up", async () => {
  answer = (_, response) => {
    response.writeHead(200, { "Content-Length": "100" })
    response.write("some")
  }
  const patience = { stall: 300, answer: 300 }
  expect(await failing(contents(ground.run(), node(`${base()}/x`), patience))).toContain(
    "no byte came for 0.3 s",
  )
  answer = () => undefined
  expect(await failing(contents(ground.run(), node(`${base()}/x`), patience))).toContain(
    "did not answer within 0.3 s",
  )
  expect(ground.rooms.root).toBeTruthy()
  expect(source().shelf.list()).toEqual([])
})

test("an answer that ends early is no file", async () => {
  answer = (_, response) => {
    response.writeHead(200, { "Content-Length": "100" })
    response.write("some")
    setTimeout(() => response.destroy(), 50)
  }
  expect(await failing(contents(ground.run(), node(`${base()}/x`)))).toContain("cannot fetch")
  expect(source().shelf.list()).toEqual([])
})

test("more bytes than the bound are refused, announced or not", async () => {
  answer = (_, response) => response.end("0123456789")
  const bound = { largest: 5 }
  expect(await failing(contents(ground.run(), node(`${base()}/x`), bound))).toContain(
    "it has more than 5 bytes",
  )
  answer = (_, response) => {
    response.write("01234")
    response.end("56789")
  }
  expect(await failing(contents(ground.run(), node(`${base()}/x`), bound))).toContain(
    "it has more than 5 bytes",
  )
})

test("cancelling ends it at once and leaves nothing", async () => {
  answer = (_, response) => {
    response.writeHead(200)
    response.write("some")
  }
  const controller = new AbortController()
  const fetching = failing(contents(ground.run({}, controller.signal), node(`${base()}/x`)))
  setTimeout(() => controller.abort(), 200)
  expect(await fetching).toBe("context canceled")
  expect(source().shelf.list()).toEqual([])
})

test("what is kept is listed, goes when nobody uses it, and half a fetch goes after a crash", async () => {
  const http = source()
  const { tree } = await http.fetch(node(`${base()}/x`), ground.run())
  const [kept] = http.shelf.list()
  expect(kept).toMatchObject({
    kind: "source.http",
    bytes: 5,
    inUse: true,
    description: `http url ${base()}/x`,
  })
  expect(await http.shelf.remove(kept?.id ?? "")).toBe(0)
  tree.release()
  http.shelf.begin()
  await source().shelf.recover()
  expect(http.shelf.list().map(({ inUse }) => inUse)).toEqual([false])
  expect(await http.shelf.remove(kept?.id ?? "")).toBe(5)
  expect(http.shelf.list()).toEqual([])
})

test("a tree is told as a context", async () => {
  const { tree } = await source().fetch(node(`${base()}/x`), ground.run())
  expect(contextOf({ kind: "context", context: tree })).toBe(tree)
  tree.release()
})
