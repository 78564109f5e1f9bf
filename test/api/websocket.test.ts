// Attach over a WebSocket: a real client's messages both ways, and frames by hand that are right, torn and wrong.
import { expect, test } from "bun:test"
import { once } from "node:events"
import type { AddressInfo, Socket } from "node:net"
import { createApiServer } from "../../src/api/api.ts"
import { createFakeBuilder } from "./fake-builder.ts"
import { createFakeEngine } from "./fake-engine.ts"
import { type Served, serve } from "./serve.ts"

async function withContainer(api: Served, body: Record<string, unknown> = {}): Promise<string> {
  const response = await api.request("POST", "/containers/create", { Image: "busybox", ...body })
  return ((await response.json()) as { Id: string }).Id
}

const query = "stream=1&stdin=1&stdout=1&stderr=1"
const head = (id: string, version = "v1.51", more = "") =>
  `GET /${version}/containers/${id}/attach/ws?${query} HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n${more}\r\n`

/** A client's frame, masked. */
function masked(opcode: number, text: string, final = true): Buffer {
  const mask = Buffer.from([1, 2, 3, 4])
  const payload = Buffer.from(text).map((byte, index) => byte ^ (mask[index & 3] ?? 0))
  const length =
    payload.length < 126 ? [payload.length | 128] : [126 | 128, payload.length >> 8, payload.length & 255]
  return Buffer.concat([Buffer.from([(final ? 128 : 0) | opcode, ...length]), mask, payload])
}

/** Collects what a socket gives; `until` waits for a number of bytes behind the head. */
function collect(socket: Socket) {
  let bytes = Buffer.alloc(0)
  socket.on("data", (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
  })
  const body = () => {
    const end = bytes.indexOf("\r\n\r\n")
    return end < 0 ? undefined : bytes.subarray(end + 4)
  }
  return {
    head: () => bytes.toString("latin1").split("\r\n\r\n")[0] ?? "",
    async until(count: number): Promise<Buffer> {
      const end = Date.now() + 3000
      while ((body()?.length ?? -1) < count) {
        if (Date.now() > end) throw new Error(`only ${bytes.toString("latin1")}`)
        await Bun.sleep(5)
      }
      return body() ?? Buffer.alloc(0)
    },
  }
}

test("a WebSocket client's messages come back, and it is told the end", async () => {
  const engine = createFakeEngine()
  const server = createApiServer(engine, createFakeBuilder())
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  const created = await engine.containers.create({ config: { image: "busybox", tty: true } })
  const client = new WebSocket(`ws://127.0.0.1:${port}/v1.51/containers/${created.id}/attach/ws?${query}`)
  client.binaryType = "arraybuffer"
  await once(client, "open")
  const big = "x".repeat(200_000)
  let text = ""
  const all = new Promise<void>((resolve) => {
    client.addEventListener("message", ({ data }) => {
      expect(data).toBeInstanceOf(ArrayBuffer)
      text += Buffer.from(data as ArrayBuffer).toString()
      if (text.length === big.length + 5) resolve()
    })
  })
  client.send("hello")
  client.send(Buffer.from(big))
  await all
  expect(text).toBe(`hello${big}`)
  const closed = new Promise<CloseEvent>((resolve) => client.addEventListener("close", resolve))
  for (const stream of engine.attached) stream.end()
  expect((await closed).code).toBe(1000)
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

test("the handshake is RFC 6455's, and frames carry both streams without Docker's headers", async () => {
  const engine = createFakeEngine()
  await using api = await serve(engine)
  const id = await withContainer(api)
  const client = api.open(head(id))
  const got = collect(client)
  await got.until(0)
  expect(got.head()).toStartWith("HTTP/1.1 101 Switching Protocols\r\n")
  expect(got.head()).toContain("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
  const [stream] = engine.attached
  stream?.push(Buffer.from("\x01\0\0\0\0\0\0\x03ou", "latin1"))
  stream?.push(Buffer.from("t\x02\0\0", "latin1"))
  stream?.push(Buffer.from("\0\0\0\0\x03err", "latin1"))
  expect((await got.until(12)).toString("latin1")).toBe("\x82\x02ou\x82\x01t\x82\x03err")
  client.destroy()
})

test("fragments, pings and torn frames are understood; before 1.28 frames are text", async () => {
  const engine = createFakeEngine()
  await using api = await serve(engine)
  const id = await withContainer(api, { Tty: true })
  const client = api.open(head(id, "v1.27"))
  const got = collect(client)
  await got.until(0)
  client.write(masked(2, "one ", false))
  client.write(masked(9, "beat"))
  // Between the parts of a message, and torn in every place.
  const rest = masked(0, "two")
  for (const byte of rest) {
    client.write(Buffer.from([byte]))
    await Bun.sleep(1)
  }
  client.write(masked(8, ""))
  await once(client, "end")
  const text = (await got.until(0)).toString("latin1")
  expect(text).toContain("\x8a\x04beat")
  const said = text.replace("\x8a\x04beat", "")
  expect(said.replace(/\x88[\s\S]*$/, "").replaceAll(/\x81[\s\S]/g, "")).toBe("one two")
  expect(said).toEndWith("\x88\x02\x03\xe8")
  expect(engine.attached.size).toBe(0)
})

test.each([
  ["unmasked", Buffer.from([0x82, 1, 65])],
  ["with an extension's bit", Buffer.from([0xc2, 0x81, 0, 0, 0, 0, 65])],
  ["of an unknown kind", masked(3, "x")],
  ["that goes on with nothing", masked(0, "x")],
  ["longer than numbers go", Buffer.from([0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0])],
  ["of control in parts", masked(9, "x", false)],
])("a frame %s ends the connection with 1002, and nothing stays", async (_, bytes) => {
  const engine = createFakeEngine()
  await using api = await serve(engine)
  const id = await withContainer(api, { Tty: true })
  const client = api.open(head(id))
  const got = collect(client)
  await got.until(0)
  client.write(bytes)
  expect((await got.until(4)).toString("latin1")).toBe("\x88\x02\x03\xea")
  client.destroy()
  const end = Date.now() + 2000
  while (engine.attached.size > 0 && Date.now() < end) await Bun.sleep(5)
  expect(engine.attached.size).toBe(0)
})

test("what is no handshake, and a page of another origin, get a plain answer", async () => {
  const engine = createFakeEngine()
  await using api = await serve(engine)
  const id = await withContainer(api)
  const plain = await api.request("GET", `/containers/${id}/attach/ws?${query}`)
  expect(plain.status).toBe(400)
  expect(await api.raw(head(id, "v1.51", "Origin: http://elsewhere\r\n"))).toStartWith(
    "HTTP/1.1 403 Forbidden",
  )
  expect(await api.raw(head(id).replace("Version: 13", "Version: 8"))).toStartWith("HTTP/1.1 400")
  expect(await api.raw(head("nobody"))).toStartWith("HTTP/1.1 404")
  const own = api.open(head(id, "v1.51", "Origin: http://d\r\n"))
  await collect(own).until(0)
  own.destroy()
  expect(engine.attached.size).toBeLessThanOrEqual(1)
})
