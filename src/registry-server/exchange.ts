// One request to the registry and every way to answer it.
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http"
import { Refusal, refusalBody } from "./refusal.ts"

export class Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly query: URLSearchParams
  readonly path: string
  readonly method: string

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.request = request
    this.response = response
    this.method = request.method ?? "GET"
    const url = request.url ?? "/"
    const mark = url.indexOf("?")
    this.path = mark < 0 ? url : url.slice(0, mark)
    this.query = new URLSearchParams(mark < 0 ? "" : url.slice(mark + 1))
  }

  header(name: string): string | undefined {
    const value = this.request.headers[name]
    return Array.isArray(value) ? value.join(",") : value
  }

  get answered(): boolean {
    return this.response.headersSent
  }

  /** An answer without a body. */
  empty(status: number, headers: OutgoingHttpHeaders = {}): void {
    this.#drain()
    this.response.writeHead(status, { ...headers, "Content-Length": 0 })
    this.response.end()
  }

  /** A whole body; left out for HEAD, though its length is told. */
  bytes(status: number, type: string, body: Uint8Array, headers: OutgoingHttpHeaders = {}): void {
    this.#drain()
    this.response.writeHead(status, { ...headers, "Content-Type": type, "Content-Length": body.length })
    this.response.end(this.method === "HEAD" ? undefined : body)
  }

  json(value: unknown, headers: OutgoingHttpHeaders = {}, type = "application/json"): void {
    this.bytes(200, type, Buffer.from(JSON.stringify(value)), headers)
  }

  /** A body of known length as a stream, with the reader's back-pressure. */
  async stream(status: number, headers: OutgoingHttpHeaders, body: AsyncIterable<Uint8Array>): Promise<void> {
    this.#drain()
    const { response } = this
    response.writeHead(status, headers)
    if (this.method === "HEAD") {
      response.end()
      return
    }
    for await (const chunk of body) {
      if (response.destroyed) return
      if (!response.write(chunk)) await drained(response)
    }
    response.end()
  }

  /** After the headers are out, the connection breaks off: a client never takes half an answer for a whole one. */
  fail(error: Refusal): void {
    if (this.answered) {
      this.response.destroy()
      return
    }
    this.bytes(error.status, "application/json", Buffer.from(refusalBody(error)), error.headers)
  }

  /** What the client still sends is thrown away, so that the connection can be used again. */
  #drain(): void {
    if (!this.request.readableEnded) this.request.resume()
  }

  /** The request's body, at most `limit` bytes. Throws a refusal when it is longer. */
  async body(limit: number, refusal: () => Refusal): Promise<Buffer> {
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of this.request as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > limit) throw refusal()
      chunks.push(chunk)
    }
    return Buffer.concat(chunks, size)
  }
}

const drained = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      response.off("drain", done)
      response.off("close", done)
      resolve()
    }
    response.on("drain", done)
    response.on("close", done)
  })

/** The host and scheme that the client used, for absolute links; empty when it did not say. */
export const originOf = (exchange: Exchange, secure: boolean): string => {
  const host = exchange.header("host") ?? ""
  return /^[\w.:[\]-]+$/.test(host) ? `${secure ? "https" : "http"}://${host}` : ""
}

export { Refusal }
