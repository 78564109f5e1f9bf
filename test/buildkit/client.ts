// A build client of our own: it upgrades connections, calls the control API and the gateway, and serves a session as buildx does.
import { once } from "node:events"
import { connect, type Socket } from "node:net"
import { GrpcConnection } from "../../src/api/buildkit/grpc/client.ts"
import { createGrpcServer, type Method } from "../../src/api/buildkit/grpc/server.ts"
import type { GrpcFailure } from "../../src/api/buildkit/grpc/status.ts"
import {
  Empty,
  SolveRequest,
  SolveResponse,
  StatusRequest,
  StatusResponse,
} from "../../src/wire/buildkit/control.ts"
import {
  GatewaySolveRequest,
  GatewaySolveResponse,
  PongResponse,
  ReturnRequest,
} from "../../src/wire/buildkit/gateway.ts"
import type { Decoded, Given, Message } from "../../src/wire/buildkit/protobuf.ts"

const CONTROL = "/moby.buildkit.v1.Control"
const GATEWAY = "/moby.buildkit.v1.frontend.LLBBridge"

/** Opens a connection and upgrades it; throws with the server's answer when it refuses. */
export async function upgrade(
  path: string,
  target: string,
  headers: readonly (readonly [string, string])[] = [],
): Promise<Socket> {
  const socket = connect(path)
  const lines = [["Host", "localhost"], ["Connection", "Upgrade"], ["Upgrade", "h2c"], ...headers]
  socket.write(
    `POST ${target} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`,
  )
  let head = Buffer.alloc(0)
  while (head.indexOf("\r\n\r\n") < 0) {
    const [chunk] = (await once(socket, "data")) as [Buffer]
    head = Buffer.concat([head, chunk])
  }
  const end = head.indexOf("\r\n\r\n") + 4
  const text = head.subarray(0, end).toString("latin1")
  if (!text.startsWith("HTTP/1.1 101")) {
    socket.destroy()
    throw new Error(head.toString("latin1"))
  }
  if (head.length > end) socket.unshift(head.subarray(end))
  return socket
}

export interface BuildClient extends AsyncDisposable {
  readonly grpc: GrpcConnection
  readonly socket: Socket
  unary<In, Out>(
    path: string,
    request: Message<In>,
    response: Message<Out>,
    value: Given<In>,
    build?: string,
  ): Promise<Out>
  /** The whole progress of a build. */
  status(ref: string): Promise<Decoded<typeof StatusResponse>[]>
  solve(
    request: Given<Decoded<typeof SolveRequest>>,
    signal?: AbortSignal,
  ): Promise<Decoded<typeof SolveResponse>>
  /** As buildx does it: Control.Solve, and beside it the gateway by which this client is its own frontend. */
  build(
    request: Given<Decoded<typeof SolveRequest>>,
    options: Readonly<Record<string, string>>,
    more?: Given<Decoded<typeof GatewaySolveRequest>>,
  ): Promise<Built>
}

export interface Built {
  readonly response: ReadonlyMap<string, string>
  readonly result: Decoded<typeof GatewaySolveResponse>["result"]
}

export async function connectClient(path: string): Promise<BuildClient> {
  const socket = await upgrade(path, "/v1.51/grpc")
  const grpc = new GrpcConnection(socket)
  const client: BuildClient = {
    grpc,
    socket,
    unary: (name, request, response, value, build) =>
      grpc.unary(name, request, response, value, {
        ...(build === undefined ? {} : { metadata: { "buildkit-controlapi-buildid": build } }),
      }),
    async status(ref) {
      const call = grpc.call(`${CONTROL}/Status`, StatusRequest, StatusResponse)
      await call.send({ ref })
      call.end()
      const all: Decoded<typeof StatusResponse>[] = []
      for (;;) {
        const next = await call.receive()
        if (next === undefined) return all
        all.push(next)
      }
    },
    solve: (request, signal) =>
      grpc.unary(
        `${CONTROL}/Solve`,
        SolveRequest,
        SolveResponse,
        request,
        signal === undefined ? {} : { signal },
      ),
    async build(request, options, more = {}) {
      const ref = request.ref ?? ""
      const solved = client.solve(request)
      solved.catch(() => {})
      await client.unary(`${GATEWAY}/Ping`, Empty, PongResponse, {}, ref)
      const frontend = {
        frontend: "dockerfile.v0",
        frontendOptions: new Map(Object.entries(options)),
        allowResultReturn: true,
        ...more,
      }
      const returned = await client
        .unary(`${GATEWAY}/Solve`, GatewaySolveRequest, GatewaySolveResponse, frontend, ref)
        .catch((error: GrpcFailure) => ({ result: undefined, error }))
      const { result } = returned
      if ("error" in returned) {
        const { code, message } = returned.error
        await client.unary(`${GATEWAY}/Return`, ReturnRequest, Empty, { error: { code, message } }, ref)
        await solved.catch(() => {})
        throw returned.error
      }
      await client.unary(`${GATEWAY}/Return`, ReturnRequest, Empty, { result }, ref)
      return { response: (await solved).exporterResponse, result }
    },
    async [Symbol.asyncDispose]() {
      grpc.close()
      socket.destroy()
    },
  }
  return client
}

/** Opens a session that offers these methods; ended by destroying the socket. */
export async function openSession(
  path: string,
  id: string,
  methods: Readonly<Record<string, Method>>,
  sharedKey = "",
): Promise<Socket> {
  const names = Object.keys(methods).map((name) => ["X-Docker-Expose-Session-Grpc-Method", name] as const)
  const socket = await upgrade(path, "/session", [
    ["X-Docker-Expose-Session-Uuid", id],
    ["X-Docker-Expose-Session-Sharedkey", sharedKey],
    ...names,
  ])
  createGrpcServer(methods).serve(socket)
  return socket
}
