// Hijacked and streamed answers: both directions, half-closes, clients that vanish, headers before bodies.
import { expect, test } from "bun:test"
import { once } from "node:events"
import type { Socket } from "node:net"
import { createFakeEngine } from "./fake-engine.ts"
import { type Served, serve } from "./serve.ts"

async function withContainer(api: Served, body: Record<string, unknown> = {}): Promise<string> {
  const response = await api.request("POST", "/containers/create", { Image: "busybox", ...body })
  return ((await response.json()) as { Id: string }).Id
}

/** Resolves with everything read once it holds `wanted`. */
function reads(socket: Socket, wanted: string): Promise<string> {
  let text = ""
  return new Promise((resolve, reject) => {
    const take = (chunk: Buffer) => {
      text += chunk.toString("latin1")
      if (!text.includes(wanted)) return
      socket.off("data", take)
      resolve(text)
    }
    socket.on("data", take)
    socket.once("close", () => reject(new Error(`closed after ${JSON.stringify(text)}`)))
  })
}

const attachHead = (id: string, version = "v1.50") =>
  `POST /${version}/containers/${id}/attach?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`

test("attach upgrades, echoes, and closes after the client's half-close", async () => {
  await using api = await serve(createFakeEngine())
  const id = await withContainer(api, { Tty: true })
  const client = api.open(attachHead(id))
  const head = await reads(client, "\r\n\r\n")
  expect(head).toStartWith("HTTP/1.1 101 UPGRADED\r\n")
  expect(head).toContain("Content-Type: application/vnd.docker.raw-stream\r\n")
  const echo = reads(client, "hello")
  client.write("hello")
  expect(await echo).toBe("hello")
  const rest = reads(client, "last words")
  client.end("last words")
  expect(await rest).toBe("last words")
  await once(client, "end")
})

test("bytes that arrive with the request's head are stdin", async () => {
  await using api = await serve(createFakeEngine())
  const id = await withContainer(api, { Tty: true })
  const client = api.open(`${attachHead(id)}early`)
  expect(await reads(client, "early")).toContain("\r\n\r\nearly")
  client.destroy()
})

test("the multiplexed stream is named so from 1.42 on", async () => {
  await using api = await serve(createFakeEngine())
  const id = await withContainer(api)
  for (const [version, type] of [
    ["v1.42", "multiplexed-stream"],
    ["v1.41", "raw-stream"],
  ] as const) {
    const client = api.open(attachHead(id, version))
    expect(await reads(client, "\r\n\r\n")).toContain(`Content-Type: application/vnd.docker.${type}\r\n`)
    client.destroy()
  }
})

test("an attach that fails is a plain answer", async () => {
  await using api = await serve(createFakeEngine())
  const answer = await api.raw(attachHead("nope"))
  expect(answer).toStartWith("HTTP/1.1 404 Not Found\r\n")
  expect(answer).toEndWith('{"message":"No such container: nope"}\n')
})

test("without an upgrade the output is a raw 200", async () => {
  const engine = createFakeEngine()
  await using api = await serve(engine)
  const id = await withContainer(api)
  const client = api.open(
    `POST /containers/${id}/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n`,
  )
  const head = await reads(client, "\r\n\r\n")
  expect(head).toStartWith("HTTP/1.1 200 OK\r\n")
  expect(head.toLowerCase()).not.toContain("transfer-encoding")
  const [stream] = engine.attached
  stream?.end("bare bytes")
  expect(await reads(client, "bytes")).toBe("bare bytes")
})

test("exec start takes its body before the raw bytes", async () => {
  await using api = await serve(createFakeEngine())
  const id = await withContainer(api)
  const exec = await api.request("POST", `/containers/${id}/exec`, {
    Cmd: ["cat"],
    AttachStdin: true,
    AttachStdout: true,
    Tty: true,
  })
  const { Id } = (await exec.json()) as { Id: string }
  const body = '{"Detach":false,"Tty":true}'
  const client = api.open(
    `POST /exec/${Id}/start HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n${body}`,
  )
  await reads(client, "\r\n\r\n")
  const echo = reads(client, "ping")
  client.write("ping")
  expect(await echo).toBe("ping")
  client.destroy()
})

test("an exec whose command is missing says so in the stream and has an exit code", async () => {
  await using api = await serve(createFakeEngine())
  const id = await withContainer(api)
  const exec = await api.request("POST", `/containers/${id}/exec`, { Cmd: ["missing"], AttachStdout: true })
  const { Id } = (await exec.json()) as { Id: string }
  const answer = await api.raw(
    `POST /exec/${Id}/start HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n{}`,
  )
  expect(answer).toStartWith("HTTP/1.1 101 UPGRADED")
  expect(answer).toContain("executable file not found in $PATH\r\n")
  const inspect = (await (await api.request("GET", `/exec/${Id}/json`)).json()) as { ExitCode: number }
  expect(inspect.ExitCode).toBe(127)
})

test("a hundred clients that vanish in mid-attach leave no stream behind", async () => {
  const engine = createFakeEngine()
  await using api = await serve(engine)
  const id = await withContainer(api)
  const clients = await Promise.all(
    Array.from({ length: 100 }, async () => {
      const client = api.open(attachHead(id))
      await reads(client, "\r\n\r\n")
      return client
    }),
  )
  expect(engine.attached.size).toBe(100)
  for (const client of clients) client.destroy()
  const until = Date.now() + 3000
  while (engine.attached.size > 0 && Date.now() < until) await Bun.sleep(10)
  expect(engine.attached.size).toBe(0)
})

test("a reader that stalls holds the writer back", async () => {
  const engine = createFakeEngine()
  await using api = await serve(engine)
  const id = await withContainer(api)
  const client = api.open(attachHead(id))
  await reads(client, "\r\n\r\n")
  client.pause()
  const [stream] = engine.attached
  const chunk = Buffer.alloc(256 * 1024)
  let written = 0
  while (stream?.write(chunk)) {
    written += chunk.length
    await Bun.sleep(1)
    if (written > 64 << 20) break
  }
  expect(written).toBeLessThan(16 << 20)
  client.destroy()
})

test("wait sends its headers at once and its body at the end", async () => {
  await using api = await serve(createFakeEngine())
  const id = await withContainer(api)
  await api.request("POST", `/containers/${id}/start`)
  const response = await api.request("POST", `/containers/${id}/wait?condition=next-exit`)
  expect(response.status).toBe(200)
  await api.request("POST", `/containers/${id}/stop`)
  expect(await response.text()).toBe('{"StatusCode":0}\n')
})

test("logs are framed for pipes and raw for terminals", async () => {
  await using api = await serve(createFakeEngine())
  const piped = await withContainer(api)
  const frames = await api.request("GET", `/containers/${piped}/logs?stdout=1&stderr=1`)
  expect(frames.headers.get("content-type")).toBe("application/vnd.docker.multiplexed-stream")
  expect(await frames.text()).toBe("\x01\0\0\0\0\0\0\x04out\n\x02\0\0\0\0\0\0\x04err\n")
  const tty = await withContainer(api, { Tty: true })
  const raw = await api.request("GET", `/containers/${tty}/logs?stdout=1&timestamps=1`)
  expect(raw.headers.get("content-type")).toBe("application/vnd.docker.raw-stream")
  expect(await raw.text()).toBe("2026-01-02T03:04:05.000000006Z out\n")
})

test("events of the past end with until, those to come arrive as they happen", async () => {
  const engine = createFakeEngine()
  await using api = await serve(engine)
  const id = await withContainer(api)
  const soon = (Date.now() / 1000 + 0.1).toFixed(3)
  const past = await api.request("GET", `/events?since=1&until=${soon}`)
  const [line = ""] = (await past.text()).split("\n")
  expect(JSON.parse(line)).toMatchObject({
    Type: "container",
    Action: "create",
    status: "create",
    id,
    from: "busybox",
    Actor: { ID: id },
    scope: "local",
  })
  expect(line).toMatch(/"timeNano":\d{19}\}$/)
  const client = api.open(
    `GET /events?filters=${encodeURIComponent('{"event":["exec_create"]}')} HTTP/1.1\r\nHost: d\r\n\r\n`,
  )
  await reads(client, "\r\n\r\n")
  const next = reads(client, "exec_create")
  engine.events.publish({ type: "container", action: "start", id, attributes: {} })
  engine.events.publish({ type: "container", action: "exec_create: sh", id, attributes: {} })
  expect(await next).not.toContain('"start"')
  client.destroy()
})

test("an upgrade that nobody asked for is ignored", async () => {
  await using api = await serve(createFakeEngine())
  const answer = await api.raw(
    "GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n",
  )
  expect(answer).toStartWith("HTTP/1.1 200 OK")
  expect(answer).toEndWith("OK")
})
