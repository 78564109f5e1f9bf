import { afterAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { ApiFailure, EngineClient, parseHost, readLines, readText } from "./client.ts"

const directory = mkdtempSync("/tmp/slq-client-")
const path = join(directory, "s")
let connections = 0
let received = ""
let answer: (request: string) => readonly string[] = () => []

/** Plays prepared pieces, so that heads, chunks and lines may be cut anywhere. */
const server = createServer((socket) => {
  connections++
  socket.on("error", () => undefined)
  socket.on("data", async (bytes) => {
    received += bytes.toString("latin1")
    if (!/\r\n\r\n/.test(received)) return
    for (const piece of answer(received)) {
      if (piece === "END") socket.end()
      else socket.write(piece)
      await Bun.sleep(1)
    }
  })
})
await new Promise<void>((resolve) => server.listen(path, resolve))
afterAll(() => {
  server.close()
  rmSync(directory, { recursive: true })
})

const client = () => {
  received = ""
  return new EngineClient(`unix://${path}`)
}

test("chunks cut anywhere, and the connection is used again", async () => {
  const body =
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n3;x=y\r\n 1}\r\n0\r\nTrailer: x\r\n\r\n'
  const engine = client()
  const before = connections
  for (const size of [1, 3, 1000]) {
    answer = () => body.match(new RegExp(`[\\s\\S]{1,${size}}`, "g")) ?? []
    received = ""
    expect(await engine.json<unknown>("GET", "/x")).toEqual({ a: 1 })
  }
  expect(connections - before).toBe(1)
  engine.close()
})

test("queries are written so that every server reads them back", async () => {
  const engine = client()
  answer = () => ["HTTP/1.1 204 No Content\r\n\r\n"]
  const query = {
    name: "a b+c&d=é",
    all: true,
    none: undefined,
    off: false,
    list: ["1", "/"],
    lone: "\ud800",
  }
  await engine.call("GET", "/x", { query: { ...query, filters: { label: ["k=v"] } } })
  const asked = new URL(`http://x${/^GET (\S+) /.exec(received)?.[1]}`).searchParams
  expect([...asked]).toEqual([
    ["name", "a b+c&d=é"],
    ["all", "1"],
    ["off", "0"],
    ["list", "1"],
    ["list", "/"],
    ["lone", "\ufffd"],
    ["filters", '{"label":["k=v"]}'],
  ])
  engine.close()
})

test("refusals carry status and words; heads say what they must", async () => {
  const engine = client()
  answer = () => ['HTTP/1.1 404 Not Found\r\nContent-Length: 27\r\n\r\n{"message":"No such thing"}\n']
  const error = await engine
    .call("POST", "/x", { query: { a: true, b: ["1", "2"], c: { d: [1] } }, body: { e: 1 } })
    .then(
      () => undefined,
      (reason: unknown) => reason,
    )
  expect(error).toBeInstanceOf(ApiFailure)
  expect(error).toMatchObject({ status: 404, kind: "not-found", message: "No such thing" })
  expect(received).toStartWith("POST /v1.50/x?a=1&b=1&b=2&c=%7B%22d%22%3A%5B1%5D%7D HTTP/1.1\r\n")
  expect(received).toEndWith('{"e":1}')
  engine.close()
})

test("a refusal before the upload has ended is told, not a broken pipe", async () => {
  const engine = client()
  answer = () => [
    'HTTP/1.1 400 Bad Request\r\nContent-Length: 21\r\n\r\n{"message":"too much"}'.slice(0),
    "END",
  ]
  const endless = async function* () {
    for (;;) {
      yield new Uint8Array(64 * 1024)
      await Bun.sleep(1)
    }
  }
  await expect(engine.call("POST", "/load", { stream: endless() })).rejects.toThrow(/too much/)
  engine.close()
})

test("a source that breaks ends the call", async () => {
  const engine = client()
  answer = () => []
  const broken = async function* () {
    yield new Uint8Array(10)
    throw new Error("the disk is gone")
  }
  await expect(engine.call("POST", "/load", { stream: broken() })).rejects.toThrow("the disk is gone")
  engine.close()
})

test("a hijacked connection keeps what came with the head, and knows its end", async () => {
  const engine = client()
  answer = () => ["HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nfirst ", "second", "END"]
  const { socket } = await engine.hijack("/attach")
  let text = ""
  for (let bytes = await socket.read(); bytes; bytes = await socket.read()) text += bytes.toString()
  expect(text).toBe("first second")
  engine.close()
})

test("an answer that is cut short, or no HTTP at all, is a sentence", async () => {
  const engine = client()
  answer = () => ["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "END"]
  await expect(engine.json("GET", "/x")).rejects.toThrow("closed the connection in the middle of an answer")
  received = ""
  answer = () => ["SSH-2.0-x\r\n\r\n", "END"]
  await expect(engine.json("GET", "/x")).rejects.toThrow("does not speak HTTP")
  engine.close()
})

test("lines and text of a body", async () => {
  const pieces = async function* () {
    for (const piece of ['{"a":', '1}\n{"a"', ":2}\n\n", '{"a":"é"}']) yield Buffer.from(piece)
  }
  const found: unknown[] = []
  for await (const line of readLines(pieces())) found.push(line)
  expect(found).toEqual([{ a: 1 }, { a: 2 }, { a: "é" }])
  expect(await readText(pieces())).toEndWith('{"a":"é"}')
})

test("hosts", () => {
  expect(parseHost("unix:///a/b")).toEqual({ unix: "/a/b" })
  expect(parseHost("tcp://h:99")).toEqual({ hostname: "h", port: 99 })
  expect(parseHost("tcp://[::1]")).toEqual({ hostname: "::1", port: 2375 })
  expect(parseHost("tcp://h", { verify: true })).toEqual({ hostname: "h", port: 2376, tls: { verify: true } })
  const ssh = parseHost("ssh://me@box:2222")
  expect("command" in ssh && ssh.command.slice(0, 9)).toEqual([
    "ssh",
    "-l",
    "me",
    "-p",
    "2222",
    "-o",
    "ConnectTimeout=30",
    "-T",
    "--",
  ])
  for (const host of ["ssh://-oProxyCommand=x", "ssh://a:b@c", "ssh://c/path", "ssh://"])
    expect(() => parseHost(host)).toThrow("unable to parse docker host")
  expect(() => parseHost("foo")).toThrow('unable to parse docker host "foo"')
})

test("nothing there: the daemon is started once, and if that does not help it is said", async () => {
  let started = 0
  const engine = new EngineClient("unix:///nowhere/s", { whenUnreachable: async () => void started++ })
  await expect(engine.json("GET", "/x")).rejects.toThrow(
    "Cannot connect to the Sloop daemon at unix:///nowhere/s.",
  )
  expect(started).toBe(1)
})
