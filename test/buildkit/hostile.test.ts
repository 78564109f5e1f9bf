// BuildKit's face against clients that lie: bytes that are no HTTP/2, messages that make no sense, sessions that break their word.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { randomBytes } from "node:crypto"
import { readdirSync } from "node:fs"
import http2 from "node:http2"
import type { Socket } from "node:net"
import fc from "fast-check"
import { duplex, type Method } from "../../src/api/buildkit/grpc/server.ts"
import { CODE, GrpcFailure } from "../../src/api/buildkit/grpc/status.ts"
import { Empty, VersionResponse } from "../../src/wire/buildkit/control.ts"
import type { Decoded, Message } from "../../src/wire/buildkit/protobuf.ts"
import { PACKET, Packet } from "../../src/wire/buildkit/session.ts"
import { createFakeEngine } from "../api/fake-engine.ts"
import { type Served, serve } from "../api/serve.ts"
import { eventually } from "../fixtures/engine.ts"
import { connectClient, openSession, upgrade } from "./client.ts"
import { createReadingBuilder } from "./reading-builder.ts"
import { file, offeredFiles } from "./session-services.ts"

const CONTROL = "/moby.buildkit.v1.Control"
const GATEWAY = "/moby.buildkit.v1.frontend.LLBBridge"
const { builder, seen } = createReadingBuilder()
let api: Served
let count = 0

beforeAll(async () => {
  api = await serve(createFakeEngine(), builder)
})
afterAll(async () => {
  await api[Symbol.asyncDispose]()
})

async function lives(): Promise<void> {
  await using client = await connectClient(api.socket)
  const { version } = await client.unary(`${CONTROL}/Info`, Empty, VersionResponse, {})
  expect(version?.package).toBe("sloop")
}

/** Bytes as they are. */
const raw: Message<Uint8Array> = { decode: (bytes) => bytes, encode: (bytes) => bytes as Uint8Array }

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

function frame(type: number, flags: number, stream: number, body: Uint8Array): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(body.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, body])
}

test("bytes that are no HTTP/2 end the connection and nothing else", async () => {
  const junk = [
    Buffer.from("GET / HTTP/1.1\r\n\r\n"),
    Buffer.alloc(100_000, 0xff),
    Buffer.from(PREFACE.slice(0, 10)),
    Buffer.from(`${PREFACE}junk and more junk and more`),
    ...Array.from({ length: 40 }, () => randomBytes(1 + Math.floor(Math.random() * 2000))),
    ...Array.from({ length: 40 }, () =>
      Buffer.concat([Buffer.from(PREFACE), frame(4, 0, 0, Buffer.alloc(0)), randomBytes(500)]),
    ),
  ]
  for (const bytes of junk) {
    const socket = await upgrade(api.socket, "/grpc")
    socket.on("error", () => {})
    socket.write(bytes)
    await Bun.sleep(2)
    socket.destroy()
  }
  await lives()
}, 30_000)

test("frames of every kind with random bodies on any stream", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          type: fc.nat(12),
          flags: fc.nat(255),
          stream: fc.constantFrom(0, 1, 1, 2, 3, 2 ** 31 - 1),
          body: fc.uint8Array({ maxLength: 60 }),
        }),
        { minLength: 1, maxLength: 12 },
      ),
      async (frames) => {
        const socket = await upgrade(api.socket, "/grpc")
        socket.on("error", () => {})
        socket.write(Buffer.concat([Buffer.from(PREFACE), frame(4, 0, 0, Buffer.alloc(0))]))
        for (const { type, flags, stream, body } of frames)
          if (socket.writable) socket.write(frame(type, flags, stream, body))
        await Bun.sleep(1)
        socket.destroy()
      },
    ),
    { numRuns: 100 },
  )
  await lives()
}, 60_000)

const methods = [
  ...[
    "Info",
    "ListWorkers",
    "Solve",
    "Status",
    "DiskUsage",
    "Prune",
    "ListenBuildHistory",
    "UpdateBuildHistory",
  ].map((name) => `${CONTROL}/${name}`),
  ...["Ping", "Solve", "Evaluate", "ReadFile", "ReadDir", "StatFile", "Inputs", "Return", "Warn"].map(
    (name) => `${GATEWAY}/${name}`,
  ),
  `${GATEWAY}/ResolveImageConfig`,
  `${GATEWAY}/ResolveSourceMeta`,
  `${GATEWAY}/NewContainer`,
  `${GATEWAY}/ExecProcess`,
  "/grpc.health.v1.Health/Check",
]

test("random messages to every method are answered, or cancelled, and harm nothing", async () => {
  await using client = await connectClient(api.socket)
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...methods),
      fc.uint8Array({ maxLength: 120 }),
      async (method, bytes) => {
        const signal = AbortSignal.timeout(60)
        const call = client.grpc.call(method, raw, raw, {
          signal,
          metadata: { "buildkit-controlapi-buildid": "x" },
        })
        try {
          await call.send(bytes)
          call.end()
          while ((await call.receive()) !== undefined);
        } catch (error) {
          if (error instanceof GrpcFailure) expect(error.code).not.toBe(CODE.internal)
        }
      },
    ),
    { numRuns: 400 },
  )
  await lives()
}, 60_000)

const refusals: readonly (readonly [what: string, code: number, bytes: Uint8Array])[] = [
  ["a message that is too long", CODE.resourceExhausted, Buffer.from([0, 0x7f, 0xff, 0xff, 0xff])],
  ["a compressed message", CODE.unimplemented, Buffer.from([1, 0, 0, 0, 0])],
  ["half a message", CODE.internal, Buffer.from([0, 0, 0, 0, 9, 1])],
  ["no message", CODE.invalidArgument, Buffer.alloc(0)],
]

test.each(refusals)("%s is refused", async (_what, code, bytes) => {
  const socket = await upgrade(api.socket, "/grpc")
  const session = http2.connect("http://localhost", { createConnection: () => socket })
  const stream = session.request({
    ":method": "POST",
    ":path": `${CONTROL}/Info`,
    "content-type": "application/grpc",
  })
  const status = await new Promise((resolve) => {
    for (const event of ["response", "trailers"])
      stream.on(event, (headers: http2.IncomingHttpHeaders) => {
        if (headers["grpc-status"] !== undefined) resolve(Number(headers["grpc-status"]))
      })
    stream.end(bytes)
  })
  expect(status).toBe(code)
  session.destroy()
  socket.destroy()
})

test("methods that there are not, and deadlines that pass", async () => {
  await using client = await connectClient(api.socket)
  await expect(client.unary("/a.B/C", Empty, Empty, {})).rejects.toMatchObject({ code: CODE.unimplemented })
  const call = client.grpc.call(`${CONTROL}/ListenBuildHistory`, Empty, Empty, {
    metadata: { "grpc-timeout": "50m" },
  })
  await call.send({})
  call.end()
  await expect(call.receive()).rejects.toMatchObject({ code: CODE.deadlineExceeded })
})

type PacketCall = Parameters<Parameters<typeof duplex<Decoded<typeof Packet>, Decoded<typeof Packet>>>[2]>[0]

/** A session whose answer to a request for files is anything. */
const lying = (answer: (call: PacketCall) => Promise<void>): Record<string, Method> => ({
  "/moby.filesync.v1.FileSync/DiffCopy": duplex(Packet, Packet, answer),
})

const stat = (path: string, more: object = {}) => ({
  type: PACKET.stat,
  stat: { path, mode: 0o644, size: 3, ...more },
})

const lies: readonly (readonly [
  what: string,
  message: RegExp,
  answer: (call: PacketCall) => Promise<void>,
])[] = [
  ["a path out of the directory", /by the path "\.\.\/x"/, (call) => call.send(stat("../x"))],
  ["an absolute path", /by the path "\/x"/, (call) => call.send(stat("/x"))],
  [
    "files out of order",
    /out of order/,
    async (call) => {
      await call.send(stat("b"))
      await call.send(stat("a"))
    },
  ],
  [
    "data that nobody asked for",
    /invalid file request 5/,
    (call) => call.send({ type: PACKET.data, id: 5, data: Buffer.from("x") }),
  ],
  ["an unknown packet", /packets of type 77/, (call) => call.send({ type: 77 })],
  [
    "an error of its own",
    /error from sender: no luck/,
    (call) => call.send({ type: PACKET.error, data: Buffer.from("no luck") }),
  ],
  [
    "an end before the list is complete",
    /before it was complete/,
    (call) => call.send(stat("Dockerfile.unwanted")),
  ],
  [
    "a status of its own",
    /not today/,
    async () => {
      throw new GrpcFailure(CODE.permissionDenied, "not today")
    },
  ],
  [
    "an end in the middle of a file",
    /before it was complete/,
    async (call) => {
      await call.send(stat("Dockerfile"))
      await call.send({ type: PACKET.stat })
      await call.receive()
      await call.send({ type: PACKET.data, id: 0, data: Buffer.from("# s") })
    },
  ],
]

test.each(lies)("a session that sends %s fails its build with a sentence", async (_what, message, answer) => {
  const id = `lie${++count}`
  await using client = await connectClient(api.socket)
  const socket = await openSession(api.socket, id, lying(answer))
  const error = await client
    .solve({ ref: id, session: id, frontend: "dockerfile.v0" })
    .catch((failure: unknown) => failure)
  expect((error as Error).message).toMatch(message)
  socket.destroy()
})

test("a session that never answers holds nothing up once its build is given up", async () => {
  const id = `lie${++count}`
  await using client = await connectClient(api.socket)
  const socket = await openSession(
    api.socket,
    id,
    lying(() => new Promise(() => {})),
  )
  const signal = AbortSignal.timeout(100)
  await expect(client.solve({ ref: id, session: id, frontend: "dockerfile.v0" }, signal)).rejects.toThrow()
  socket.destroy()
  await lives()
})

test("an endless list is read no further than its reader wants", async () => {
  const id = `lie${++count}`
  await using client = await connectClient(api.socket)
  let sent = 0
  const endless = lying(async (call) => {
    for (; !call.signal.aborted; sent++) await call.send(stat(`f${String(sent).padStart(12, "0")}`))
  })
  const socket = await openSession(api.socket, id, endless)
  const signal = AbortSignal.timeout(1500)
  await expect(client.solve({ ref: id, session: id, frontend: "dockerfile.v0" }, signal)).rejects.toThrow()
  await Bun.sleep(200)
  const then = sent
  await Bun.sleep(200)
  expect(sent).toBe(then)
  socket.destroy()
})

test("what says nothing, or half of it, at the doors", async () => {
  const answers = async (headers: readonly (readonly [string, string])[]) =>
    upgrade(api.socket, "/session", headers).then(
      (socket) => {
        socket.destroy()
        return "101"
      },
      (error: Error) => error.message,
    )
  expect(await answers([])).toContain("a session needs an id")
  expect(await answers([["X-Docker-Expose-Session-Uuid", "x".repeat(300)]])).toContain(
    "a session needs an id",
  )
  const plain = await api.request("POST", "/session")
  expect([plain.status, await plain.json()]).toEqual([400, { message: "no upgrade proto in request" }])
  const grpc = await api.request("POST", "/grpc")
  expect(grpc.status).toBe(400)
})

test("five hundred builds that are given up leave no descriptor and no build", async () => {
  const descriptors = () => readdirSync("/proc/self/fd").length
  const sockets: Socket[] = []
  const once = async (index: number) => {
    const id = `gone${index}`
    const client = await connectClient(api.socket)
    sockets.push(
      await openSession(
        api.socket,
        id,
        offeredFiles({ dockerfile: [file("Dockerfile", "# wait\n")], context: [] }),
      ),
    )
    client.solve({ ref: id, session: id, frontend: "dockerfile.v0" }).catch(() => {})
    await Bun.sleep(Math.random() * 8)
    client.socket.destroy()
    sockets.pop()?.destroy()
  }
  await once(-1)
  await Bun.sleep(100)
  const before = descriptors()
  for (let index = 0; index < 100; index++)
    await Promise.all([0, 1, 2, 3, 4].map((step) => once(index * 5 + step)))
  await eventually("all descriptors are closed", () => descriptors() <= before + 2)
  await eventually("every step that waited was cancelled", () => seen.waiting - seen.cancelled <= 0)
  await lives()
}, 60_000)
