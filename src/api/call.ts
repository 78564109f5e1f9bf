// One request on its way through a route: what was asked, and every way to answer it.
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http"
import { STATUS_CODES } from "node:http"
import type { Duplex } from "node:stream"
import { errorKind, errorMessage } from "../base/errors.ts"
import { VERSION } from "../base/version.ts"
import { API_VERSION } from "./api-version.ts"
import { httpStatus } from "./http-status.ts"
import { Query } from "./query.ts"

const IDENTITY = {
  "Api-Version": API_VERSION,
  "Docker-Experimental": "false",
  Ostype: "linux",
  Server: `Sloop/${VERSION} (linux)`,
} as const

const JSON_TYPE = "application/json"

/** A client's connection after a hijack: raw bytes both ways. */
export interface Hijacked {
  readonly input: NodeJS.ReadableStream & { destroyed?: boolean }
  readonly output: NodeJS.WritableStream & { destroyed?: boolean }
  destroy(): void
}

/** Where the answer goes: node's response, or the bare socket of a request that asked for an upgrade. */
export type Reply = { readonly response: ServerResponse } | { readonly socket: Duplex; readonly head: Buffer }

export class Call {
  readonly request: IncomingMessage
  readonly params: Readonly<Record<string, string | undefined>>
  readonly query: Query
  /** Minor version of API 1.x that the client speaks. */
  readonly minor: number
  readonly #reply: Reply
  #gone: AbortController | undefined
  #answered = false

  constructor(
    request: IncomingMessage,
    reply: Reply,
    params: Readonly<Record<string, string | undefined>>,
    search: string,
    minor: number,
  ) {
    this.request = request
    this.#reply = reply
    this.params = params
    this.query = new Query(search)
    this.minor = minor
  }

  /** A path parameter that the route's pattern names. */
  param(name: string): string {
    return this.params[name] ?? ""
  }

  /**
   * Milliseconds that a client needs between the head of a hijacked answer and its bytes. docker-py reads the head through
   * a buffer and the rest from the socket beneath it: what comes together with the head is lost to it.
   */
  get breath(): number {
    return /^(docker-sdk-python|docker-py|docker-compose)\//.test(this.request.headers["user-agent"] ?? "")
      ? 30
      : 0
  }

  /** Whether the client is known to wait for the end of its streams itself, whatever other answers say: docker's and ours. */
  get awaitsStreams(): boolean {
    return /^(Docker-Client\/|sloop$)/.test(this.request.headers["user-agent"] ?? "")
  }

  get answered(): boolean {
    return this.#answered
  }

  /** Aborted when the client goes away before the answer is complete. */
  get gone(): AbortSignal {
    if (this.#gone === undefined) {
      const controller = new AbortController()
      this.#gone = controller
      const stream = "response" in this.#reply ? this.#reply.response : this.#reply.socket
      stream.once("close", () => controller.abort())
    }
    return this.#gone.signal
  }

  json(value: unknown, status = 200): void {
    this.#send(status, JSON_TYPE, `${JSON.stringify(value)}\n`)
  }

  /** JSON that is written already. */
  jsonText(text: string): void {
    this.#send(200, JSON_TYPE, `${text}\n`)
  }

  text(value: string, headers: OutgoingHttpHeaders = {}): void {
    this.#send(200, "text/plain; charset=utf-8", value, headers)
  }

  empty(status = 204, headers: OutgoingHttpHeaders = {}): void {
    this.#send(status, undefined, "", headers)
  }

  /** The answer to anything thrown: its status and Docker's error body. After the headers are out, the connection breaks off. */
  fail(error: unknown): void {
    if (this.#answered) {
      this.abandon()
      return
    }
    if (errorKind(error) === "not-modified") {
      this.empty(304)
      return
    }
    this.json({ message: errorMessage(error) }, httpStatus(error))
  }

  /** Breaks the connection off, so that the client sees an incomplete answer. */
  abandon(): void {
    if ("response" in this.#reply) this.#reply.response.destroy()
    else this.#reply.socket.destroy()
  }

  /** Starts a streamed answer: headers leave at once. */
  stream(headers: OutgoingHttpHeaders, status = 200): NodeJS.WritableStream & ServerResponse {
    if (!("response" in this.#reply)) throw new Error("an upgraded request has no streamed answer")
    this.#answered = true
    const { response } = this.#reply
    response.writeHead(status, { ...IDENTITY, ...headers })
    response.flushHeaders()
    return response
  }

  /** Takes the connection over for raw bytes; answers 101 to clients that asked for an upgrade, else 200. */
  hijack(contentType: string): Hijacked {
    this.#answered = true
    if ("response" in this.#reply) {
      const { response } = this.#reply
      // Without chunks the bytes are raw, and the end of the connection is their end.
      response.useChunkedEncodingByDefault = false
      response.writeHead(200, { ...IDENTITY, "Content-Type": contentType, Connection: "close" })
      response.flushHeaders()
      return { input: this.request, output: response, destroy: () => response.destroy() }
    }
    return this.upgrade("UPGRADED", { "Content-Type": contentType, Connection: "Upgrade", Upgrade: "tcp" })
  }

  /** The raw connection of a request that asked for an upgrade to this protocol, as one stream. */
  connection(protocol: string): Duplex {
    const reply = this.#reply
    if ("response" in reply) throw new Error("only a request for an upgrade can be upgraded")
    this.upgrade("UPGRADED", { Connection: "Upgrade", Upgrade: protocol })
    return reply.socket
  }

  /** Takes over the connection of a request that asked for an upgrade, with these headers behind the 101. */
  upgrade(reason: string, headers: OutgoingHttpHeaders): Hijacked {
    if ("response" in this.#reply) throw new Error("only a request for an upgrade can be upgraded")
    this.#answered = true
    const { socket, head } = this.#reply
    socket.write(headText(101, reason, headers))
    if (head.length > 0) socket.unshift(head)
    return { input: socket, output: socket, destroy: () => socket.destroy() }
  }

  #send(status: number, type: string | undefined, body: string, headers: OutgoingHttpHeaders = {}): void {
    if (this.#answered) return
    this.#answered = true
    const all: OutgoingHttpHeaders = { ...IDENTITY, ...headers }
    if (type !== undefined) all["Content-Type"] = type
    if ("response" in this.#reply) {
      const { response } = this.#reply
      if (status !== 204 && status !== 304 && this.request.method !== "HEAD") {
        all["Content-Length"] = Buffer.byteLength(body)
      }
      response.writeHead(status, all)
      response.end(body === "" || this.request.method === "HEAD" ? undefined : body)
      return
    }
    const { socket } = this.#reply
    all["Content-Length"] = Buffer.byteLength(body)
    all.Connection = "close"
    socket.end(`${headText(status, STATUS_CODES[status] ?? "Status", all)}${body}`)
    socket.resume()
  }
}

function headText(status: number, reason: string, headers: OutgoingHttpHeaders): string {
  const lines = Object.entries({ ...IDENTITY, ...headers }).map(([name, value]) => `${name}: ${value}`)
  return `HTTP/1.1 ${status} ${reason}\r\n${lines.join("\r\n")}\r\n\r\n`
}
