// How builds end before their time: clients that vanish, cancel or close their session; and targets that build on others.
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test"
import type { Socket } from "node:net"
import { CODE, GrpcFailure } from "../../src/api/buildkit/grpc/status.ts"
import { Empty } from "../../src/wire/buildkit/control.ts"
import {
  GatewaySolveRequest,
  GatewaySolveResponse,
  ReadFileRequest,
  ReadFileResponse,
  ReturnRequest,
} from "../../src/wire/buildkit/gateway.ts"
import { Op } from "../../src/wire/buildkit/ops.ts"
import { createFakeEngine } from "../api/fake-engine.ts"
import { type Served, serve } from "../api/serve.ts"
import { eventually } from "../fixtures/engine.ts"
import { type BuildClient, connectClient, openSession } from "./client.ts"
import { createReadingBuilder } from "./reading-builder.ts"
import { file, type OfferedFile, offeredFiles } from "./session-services.ts"

const GATEWAY = "/moby.buildkit.v1.frontend.LLBBridge"
const { builder, seen } = createReadingBuilder()
let api: Served
let count = 0
let id = ""

beforeAll(async () => {
  api = await serve(createFakeEngine(), builder)
})
beforeEach(() => {
  id = `end${++count}`
})
afterAll(async () => {
  await api[Symbol.asyncDispose]()
})

const session = (dockerfile: string, context: readonly OfferedFile[] = []): Promise<Socket> =>
  openSession(api.socket, id, offeredFiles({ dockerfile: [file("Dockerfile", dockerfile)], context }))

const waits = (client: BuildClient) =>
  client.build({ ref: id, session: id }, {}).catch((error: unknown) => error)

test("a client that cancels its call, vanishes, or closes its session ends its build", async () => {
  const ways: ((client: BuildClient, socket: Socket, cancel: AbortController) => void)[] = [
    (_client, _socket, cancel) => cancel.abort(),
    (client) => client.socket.destroy(),
    (_client, socket) => socket.destroy(),
  ]
  for (const way of ways) {
    id = `end${++count}`
    await using client = await connectClient(api.socket)
    const socket = await session("# wait\n")
    const before = seen.cancelled
    const started = seen.waiting
    const cancel = new AbortController()
    const frontend = { frontend: "dockerfile.v0", ref: id, session: id }
    const solved = client.solve(frontend, cancel.signal).catch((error: unknown) => error)
    await eventually("the build waits", () => seen.waiting === started + 1)
    way(client, socket, cancel)
    await eventually("the build ends", () => seen.cancelled === before + 1)
    expect(await solved).toBeInstanceOf(Error)
    socket.destroy()
  }
})

test("a gateway build whose client vanishes before it returns anything ends too", async () => {
  await using client = await connectClient(api.socket)
  const socket = await session("# say x\n")
  const solved = client.solve({ ref: id, session: id }).catch((error: unknown) => error)
  await Bun.sleep(50)
  client.socket.destroy()
  expect(await solved).toBeInstanceOf(Error)
  await using other = await connectClient(api.socket)
  await eventually("the ref is free again", async () => !String(await waits(other)).includes("exists"))
  socket.destroy()
}, 20_000)

test("a target builds on the result of another that still runs", async () => {
  await using client = await connectClient(api.socket)
  const socket = await session("# say parent\n")
  const parent = client.solve({ ref: id, session: id })
  const frontend = { frontend: "dockerfile.v0", allowResultReturn: true }
  const { result } = await client.unary(
    `${GATEWAY}/Solve`,
    GatewaySolveRequest,
    GatewaySolveResponse,
    frontend,
    id,
  )
  const ref = result?.ref?.id ?? ""
  const { data } = await client.unary(
    `${GATEWAY}/ReadFile`,
    ReadFileRequest,
    ReadFileResponse,
    { ref, path: "/etc/x" },
    id,
  )
  expect(Buffer.from(data).toString()).toBe("contents of /etc/x")
  const parentId = id
  id = `end${++count}`
  const second = await session("# say child\n")
  await client.build(
    { ref: id, session: id },
    { "context:base": "input:base" },
    { frontendInputs: new Map([["base", result?.ref?.def]]) },
  )
  expect(seen.requests.at(-1)?.namedContexts.get("base")).toMatchObject({
    type: "result",
    image: { chainId: "" },
  })
  const released = seen.released
  await client.unary(`${GATEWAY}/Return`, ReturnRequest, Empty, { result }, parentId)
  await parent
  await eventually("the result is let go", () => seen.released === released + 1)
  socket.destroy()
  second.destroy()
})

test("definitions with steps, other frontends and bad refs are refused in a sentence", async () => {
  await using client = await connectClient(api.socket)
  const socket = await session("# say x\n")
  const exec = {
    def: [Op.encode({ exec: Buffer.from([1]) }), Op.encode({ inputs: [{ digest: "sha256:1", index: 0 }] })],
  }
  const refused = async (request: Parameters<BuildClient["solve"]>[0]) => {
    const error = await client.solve({ session: id, ...request }).catch((failure: unknown) => failure)
    expect(error).toBeInstanceOf(GrpcFailure)
    return (error as GrpcFailure).message
  }
  expect(await refused({ ref: `${id}a`, definition: exec })).toContain("a definition in LLB is not solved")
  expect(
    await refused({
      ref: `${id}b`,
      frontend: "gateway.v0",
      frontendAttributes: new Map([["source", "r.test/other"]]),
    }),
  ).toContain("r.test/other is an image")
  expect(await refused({ ref: "", frontend: "dockerfile.v0" })).toContain("needs a ref")
  expect(
    await refused({
      ref: `${id}c`,
      frontend: "dockerfile.v0",
      frontendAttributes: new Map([["frontend.caps", "odd.thing"]]),
    }),
  ).toContain("unsupported frontend capability odd.thing")
  expect(
    await refused({
      ref: `${id}d`,
      frontend: "dockerfile.v0",
      exporters: [{ type: "odd", attributes: new Map() }],
    }),
  ).toContain('exporter "odd" could not be found')
  const gateway = "docker.io/docker/dockerfile:1@sha256:abc"
  await client.solve({
    ref: `${id}e`,
    session: id,
    frontend: "gateway.v0",
    frontendAttributes: new Map([["source", gateway]]),
  })
  socket.destroy()
})

test("a session that does not come is waited for, and named", async () => {
  await using client = await connectClient(api.socket)
  const error = await client
    .solve({ ref: id, session: "nowhere", frontend: "dockerfile.v0" })
    .catch((failure: unknown) => failure)
  expect(error).toMatchObject({
    code: CODE.unknown,
    message: expect.stringContaining("no active session for nowhere"),
  })
}, 20_000)

test("two sessions of one id: the second is refused", async () => {
  const socket = await session("")
  expect(session("")).rejects.toThrow("409")
  socket.destroy()
})
