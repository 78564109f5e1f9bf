// Door. The Docker Engine API over HTTP: a server that answers for an engine, and its table of routes.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { createServer as createTlsServer, type ServerOptions } from "node:https"
import type { Duplex } from "node:stream"
import { errorKind, failure } from "../base/errors.ts"
import { createLog } from "../base/log.ts"
import type { Builder } from "../build/build.ts"
import type { Engine } from "../engine/engine.ts"
import { NEWEST, splitVersion } from "./api-version.ts"
import { discard } from "./body.ts"
import { Call, type Reply } from "./call.ts"
import { createRouter, type Found, type Route } from "./route.ts"
import { buildRoutes } from "./routes/build.ts"
import { buildkitOf, buildkitRoutes } from "./routes/buildkit.ts"
import { ownBuildRoutes } from "./routes/builds.ts"
import { containerFileRoutes } from "./routes/container-files.ts"
import { containerStreamRoutes } from "./routes/container-streams.ts"
import { containerRoutes } from "./routes/containers.ts"
import { eventRoutes } from "./routes/events.ts"
import { execRoutes } from "./routes/execs.ts"
import { imageRoutes } from "./routes/images.ts"
import { networkRoutes } from "./routes/networks.ts"
import { refusalRoutes } from "./routes/refusals.ts"
import { registryRoutes } from "./routes/registries.ts"
import { systemRoutes } from "./routes/system.ts"
import { volumeRoutes } from "./routes/volumes.ts"

export { API_VERSION, MIN_API_VERSION } from "./api-version.ts"
export type { Method, Route } from "./route.ts"

const log = createLog("api")

/** Every route, in the order of the compatibility table. */
export function routeTable(engine: Engine, builder: Builder | undefined): Route[] {
  return [
    ...systemRoutes(engine, builder),
    ...eventRoutes(engine),
    ...containerRoutes(engine),
    ...containerStreamRoutes(engine),
    ...containerFileRoutes(engine),
    ...execRoutes(engine),
    ...imageRoutes(engine),
    ...registryRoutes(engine),
    ...volumeRoutes(engine),
    ...networkRoutes(engine),
    ...(builder === undefined
      ? []
      : [
          ...buildRoutes(builder, () => buildkitOf(engine, builder)),
          ...ownBuildRoutes(builder),
          ...buildkitRoutes(engine, builder),
        ]),
    ...refusalRoutes(),
  ]
}

/** PEM texts; with `ca`, only clients with a certificate that it signed are heard. */
export interface TlsIdentity {
  readonly key: string
  readonly cert: string
  readonly ca?: string
}

/**
 * A server that is not listening yet; several may serve one engine and its builder. Every failure is answered as
 * `{"message": …}` with the status of its kind.
 */
export function createApiServer(engine: Engine, builder: Builder | undefined, tls?: TlsIdentity): Server {
  const find = createRouter(routeTable(engine, builder))
  const answer = (request: IncomingMessage, reply: Reply): void => {
    const { call, found } = receive(request, reply, find)
    if (found === undefined) return
    try {
      const running = found.route.run(call)
      if (running !== undefined) running.catch((error: unknown) => fail(call, found, error))
    } catch (error) {
      fail(call, found, error)
    }
  }
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    response.on("error", ignore)
    answer(request, { response })
  }
  const server: Server =
    tls === undefined ? createServer(listener) : createTlsServer(tlsOptions(tls), listener)
  // Streams last as long as their clients like.
  server.timeout = 0
  server.requestTimeout = 0
  server.headersTimeout = 0
  server.keepAliveTimeout = 0
  // Other upgrades (h2c from curl, for one) are offers that a server may ignore.
  Object.assign(server, { shouldUpgradeCallback: (request: IncomingMessage) => mayHijack(request, find) })
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", ignore)
    answer(request, { socket, head })
  })
  server.on("clientError", (_error: Error, socket: Duplex) => {
    socket.on("error", ignore)
    if (socket.writable) {
      const body = '{"message":"the request is not HTTP as this engine understands it"}\n'
      socket.end(
        `HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
      )
    } else socket.destroy()
  })
  return server
}

const tlsOptions = ({ key, cert, ca }: TlsIdentity): ServerOptions => ({
  key,
  cert,
  minVersion: "TLSv1.2",
  ...(ca === undefined ? {} : { ca, requestCert: true, rejectUnauthorized: true }),
})

/** A peer that went away is no failure of ours; what was under way is told by "close". */
const ignore = (): void => {}

type Find = (method: string, path: string) => Found | undefined

function receive(request: IncomingMessage, reply: Reply, find: Find): { call: Call; found?: Found } {
  const url = request.url ?? "/"
  const mark = url.indexOf("?")
  const search = mark < 0 ? "" : url.slice(mark + 1)
  const refused = (error: unknown) => {
    discard(request)
    const call = new Call(request, reply, {}, "", NEWEST)
    call.fail(error)
    return { call }
  }
  try {
    const { minor, path } = splitVersion(mark < 0 ? url : url.slice(0, mark))
    const found = find(request.method ?? "GET", path)
    if (found === undefined) return refused(failure("not-found", "page not found"))
    return { call: new Call(request, reply, found.params, search, minor), found }
  } catch (error) {
    return refused(error)
  }
}

function mayHijack(request: IncomingMessage, find: Find): boolean {
  const protocol = request.headers.upgrade?.toLowerCase()
  if (protocol !== "tcp" && protocol !== "websocket" && protocol !== "h2c") return false
  const url = request.url ?? "/"
  const mark = url.indexOf("?")
  try {
    const { path } = splitVersion(mark < 0 ? url : url.slice(0, mark))
    const route = find(request.method ?? "GET", path)?.route
    const wanted = { tcp: route?.hijacks, websocket: route?.websocket, h2c: route?.h2c }
    return wanted[protocol] === true
  } catch {
    return false
  }
}

function fail(call: Call, { route }: Found, error: unknown): void {
  const kind = errorKind(error)
  if (kind === "internal") {
    log.error("a request failed", {
      route: `${route.method} ${route.path}`,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    })
  }
  discard(call.request)
  call.fail(error)
}
