// The registry's HTTP: who may ask, which endpoint answers, and what a failure looks like.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { createServer as createTlsServer } from "node:https"
import { errorMessage } from "../base/errors.ts"
import { createLog } from "../base/log.ts"
import { deleteBlob, serveBlob } from "./blobs.ts"
import { Exchange } from "./exchange.ts"
import { openPasswords, readBasic } from "./htpasswd.ts"
import { serveCatalog, serveTags } from "./listing.ts"
import { deleteManifest, putManifest, serveManifest, serveReferrers } from "./manifests.ts"
import { requireDigest, requireRepository } from "./names.ts"
import { Refusal } from "./refusal.ts"
import { readTarget, type Target } from "./route.ts"
import type { Store } from "./store.ts"
import type { Uploads } from "./uploads.ts"

const log = createLog("registry")

export interface Access {
  /** Apache password file with bcrypt hashes; everybody may do everything without one. */
  readonly htpasswd?: string
  /** PEM certificate chain and key; plain HTTP without them. */
  readonly tls?: { readonly certificate: string; readonly key: string }
  /** Refuses every change. */
  readonly readOnly: boolean
}

type Dispatch = (exchange: Exchange, target: Target) => void | Promise<void>

const unsupported = (method: string, allowed: string): Refusal =>
  new Refusal("UNSUPPORTED", `${method} is not supported here`, { headers: { Allow: allowed } })

/** The table of endpoints: what each method does to each kind of target. */
const dispatcher =
  (store: Store, uploads: Uploads): Dispatch =>
  (exchange, target) => {
    const { method } = exchange
    const reads = method === "GET" || method === "HEAD"
    if (target.kind === "base") {
      if (!reads) throw unsupported(method, "GET, HEAD")
      return exchange.json({})
    }
    if (target.kind === "catalog") {
      if (!reads) throw unsupported(method, "GET, HEAD")
      return serveCatalog(exchange, store)
    }
    const repository = requireRepository(target.repository)
    switch (target.kind) {
      case "tags":
        if (!reads) throw unsupported(method, "GET, HEAD")
        return serveTags(exchange, store, repository)
      case "referrers":
        if (!reads) throw unsupported(method, "GET, HEAD")
        return serveReferrers(exchange, store, repository, requireDigest(target.digest))
      case "blob":
        if (reads) return serveBlob(exchange, store, repository, target.digest)
        if (method === "DELETE") return deleteBlob(exchange, store, repository, target.digest)
        throw unsupported(method, "GET, HEAD, DELETE")
      case "uploads":
        if (method === "POST") return store.writing(() => uploads.begin(exchange, repository))
        throw unsupported(method, "POST")
      case "upload":
        if (method === "PATCH") return uploads.patch(exchange, repository, target.id)
        if (method === "PUT") return store.writing(() => uploads.put(exchange, repository, target.id))
        if (method === "DELETE") return uploads.cancel(exchange, repository, target.id)
        if (reads) return uploads.status(exchange, repository, target.id)
        throw unsupported(method, "GET, PATCH, PUT, DELETE")
      case "manifest":
        if (reads) return serveManifest(exchange, store, repository, target.reference)
        if (method === "PUT")
          return store.writing(() => putManifest(exchange, store, repository, target.reference))
        if (method === "DELETE") return deleteManifest(exchange, store, repository, target.reference)
        throw unsupported(method, "GET, HEAD, PUT, DELETE")
    }
  }

const asRefusal = (error: unknown, exchange: Exchange): Refusal => {
  if (error instanceof Refusal) return error
  log.error("a request failed", {
    request: `${exchange.method} ${exchange.path}`,
    error: error instanceof Error ? (error.stack ?? error.message) : String(error),
  })
  return new Refusal("UNKNOWN", `the registry failed: ${errorMessage(error)}`)
}

/** A server that does not listen yet. Throws when the password file or the certificate cannot be used. */
export const createRegistryServer = (store: Store, uploads: Uploads, access: Access): Server => {
  const passwords = access.htpasswd === undefined ? undefined : openPasswords(access.htpasswd)
  const dispatch = dispatcher(store, uploads)

  const admit = async (exchange: Exchange): Promise<void> => {
    if (passwords === undefined) return
    const given = readBasic(exchange.header("authorization"))
    if (given !== undefined && (await passwords.admit(given.name, given.password))) return
    throw new Refusal("UNAUTHORIZED", "authentication required", {
      headers: { "WWW-Authenticate": 'Basic realm="Sloop registry", charset="UTF-8"' },
    })
  }

  const answer = async (exchange: Exchange): Promise<void> => {
    const target = readTarget(exchange.path)
    if (target === undefined) throw new Refusal("UNSUPPORTED", "page not found", { status: 404 })
    await admit(exchange)
    if (store.cache !== undefined && exchange.method !== "GET" && exchange.method !== "HEAD")
      throw new Refusal("UNSUPPORTED", "this registry is a cache: push to the registry behind it")
    if (access.readOnly && exchange.method !== "GET" && exchange.method !== "HEAD")
      throw new Refusal("DENIED", "this registry is read-only")
    await dispatch(exchange, target)
  }

  const receive = (request: IncomingMessage, response: ServerResponse): void => {
    response.on("error", () => {})
    response.setHeader("Docker-Distribution-Api-Version", "registry/2.0")
    response.setHeader("X-Content-Type-Options", "nosniff")
    const exchange = new Exchange(request, response)
    answer(exchange).catch((error: unknown) => exchange.fail(asRefusal(error, exchange)))
  }
  const server =
    access.tls === undefined
      ? createServer(receive)
      : createTlsServer({ cert: access.tls.certificate, key: access.tls.key }, receive)
  // Uploads and downloads last as long as their networks are slow.
  server.requestTimeout = 0
  server.timeout = 0
  return server
}
