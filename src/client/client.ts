// A typed door to an Engine API server over a unix socket or loopback TCP: plain calls, streams and hijacked connections.
import { Agent, type IncomingMessage, type RequestOptions, request } from "node:http"
import type { Duplex, Readable } from "node:stream"
import { type ErrorKind, Failure, failure } from "../base/errors.ts"

/** Query parameters; undefined is left out, true is "1", objects are JSON, arrays repeat the key. */
export type Query = Readonly<
  Record<
    string,
    string | number | boolean | readonly string[] | Readonly<Record<string, unknown>> | undefined
  >
>

export interface CallOptions {
  readonly query?: Query
  /** Sent as JSON, or as it is when it is a stream. */
  readonly body?: unknown
  readonly stream?: AsyncIterable<Uint8Array>
  readonly contentType?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** An answer whose body has not been read. */
export interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Readable
}

/** A hijacked connection. */
export interface Hijacked {
  readonly socket: Duplex
  readonly contentType: string
}

const kinds: Readonly<Record<number, ErrorKind>> = {
  304: "not-modified",
  400: "invalid",
  401: "unauthorized",
  403: "forbidden",
  404: "not-found",
  409: "conflict",
  501: "not-implemented",
  503: "unavailable",
}

/** A refusal by the server: its status and its words. */
export class ApiFailure extends Failure {
  readonly status: number
  constructor(status: number, message: string) {
    super(kinds[status] ?? "internal", message)
    this.name = "ApiFailure"
    this.status = status
  }
}

/** Where a server listens: `unix:///path` or `tcp://host:port`. Throws Failure "invalid" for other forms. */
export function parseHost(host: string): RequestOptions {
  const match = /^(unix|tcp|http):\/\/(.+)$/.exec(host)
  if (!match?.[2])
    throw failure(
      "invalid",
      `unable to parse docker host "${host}": use unix:///path/to/socket or tcp://host:port`,
    )
  if (match[1] === "unix") return { socketPath: match[2] }
  const address = new URL(`http://${match[2]}`)
  return { host: address.hostname, port: address.port || "2375" }
}

function encodeQuery(query: Query): string {
  const parameters = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined) continue
    if (Array.isArray(value)) for (const item of value) parameters.append(key, item)
    else if (typeof value === "object") parameters.append(key, JSON.stringify(value))
    else parameters.append(key, value === true ? "1" : value === false ? "0" : String(value))
  }
  const text = parameters.toString()
  return text ? `?${text}` : ""
}

/** Reads a body whole as text. */
export async function readText(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks).toString("utf8")
}

/** Values of a newline-delimited JSON body, as they come. */
export async function* readLines<T>(body: AsyncIterable<Uint8Array>): AsyncGenerator<T> {
  const decoder = new TextDecoder()
  let rest = ""
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) if (line.trim() !== "") yield JSON.parse(line) as T
  }
  if (rest.trim() !== "") yield JSON.parse(rest) as T
}

async function refuse(response: IncomingMessage): Promise<never> {
  const text = await readText(response)
  let message = text.trim()
  try {
    message = (JSON.parse(text) as { message?: string }).message ?? message
  } catch {
    // Not JSON: its text is the best there is.
  }
  throw new ApiFailure(response.statusCode ?? 500, message || `the server answered ${response.statusCode}`)
}

/** The Engine API of one server. Paths are given without a version prefix. */
export class EngineClient {
  readonly #target: RequestOptions
  readonly #agent = new Agent({ keepAlive: true })
  readonly #whenUnreachable: (() => Promise<void>) | undefined
  readonly host: string
  readonly version: string

  /** `whenUnreachable` is called once when nothing listens there; if it resolves the request is made again. */
  constructor(host: string, options: { version?: string; whenUnreachable?: () => Promise<void> } = {}) {
    this.#target = parseHost(host)
    this.#whenUnreachable = options.whenUnreachable
    this.host = host
    this.version = options.version ?? "1.50"
  }

  async #reached<T>(attempt: () => Promise<T>): Promise<T> {
    try {
      return await attempt()
    } catch (error) {
      if (
        !this.#whenUnreachable ||
        !(error instanceof Failure) ||
        error.kind !== "unavailable" ||
        error instanceof ApiFailure
      )
        throw error
      await this.#whenUnreachable()
      return await attempt()
    }
  }

  #options(method: string, path: string, { query = {}, headers = {}, signal }: CallOptions): RequestOptions {
    return {
      ...this.#target,
      method,
      path: `/v${this.version}${path}${encodeQuery(query)}`,
      headers: { Host: "docker", ...headers },
      signal,
    }
  }

  /** Sends and resolves with the unread answer; throws ApiFailure for statuses from 300 on (304 included). */
  send(method: string, path: string, options: CallOptions = {}): Promise<Answered> {
    return this.#reached(() => this.#send(method, path, options))
  }

  #send(method: string, path: string, options: CallOptions): Promise<Answered> {
    return new Promise((resolve, reject) => {
      const payload = options.body === undefined ? undefined : JSON.stringify(options.body)
      const contentType = options.contentType ?? (payload === undefined ? undefined : "application/json")
      const request_ = this.#options(method, path, options)
      const call = request({
        ...request_,
        agent: this.#agent,
        headers: {
          ...request_.headers,
          ...(contentType ? { "Content-Type": contentType } : {}),
          ...(payload === undefined ? {} : { "Content-Length": Buffer.byteLength(payload) }),
        },
      } as RequestOptions)
      call.on("error", (error) => reject(this.#unreachable(error)))
      call.on("response", (response) => {
        if ((response.statusCode ?? 500) >= 300) return void refuse(response).catch(reject)
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: response })
      })
      if (options.stream) void writeAll(call, options.stream).catch((error) => call.destroy(error))
      else call.end(payload)
    })
  }

  /** Sends and reads a JSON answer; undefined when it is empty. */
  async json<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    const { body } = await this.send(method, path, options)
    const text = await readText(body)
    return (text === "" ? undefined : JSON.parse(text)) as T
  }

  /** Sends and forgets the answer's body. */
  async call(method: string, path: string, options: CallOptions = {}): Promise<number> {
    const { status, body } = await this.send(method, path, options)
    body.resume()
    return status
  }

  /** Turns a request into a raw connection (attach, exec start). */
  hijack(path: string, options: CallOptions = {}): Promise<Hijacked> {
    return this.#reached(() => this.#hijack(path, options))
  }

  #hijack(path: string, options: CallOptions): Promise<Hijacked> {
    return new Promise((resolve, reject) => {
      const payload = options.body === undefined ? "" : JSON.stringify(options.body)
      const base = this.#options("POST", path, options)
      const call = request({
        ...base,
        agent: false,
        headers: {
          ...base.headers,
          Connection: "Upgrade",
          Upgrade: "tcp",
          "Content-Type": "application/json",
          "Content-Length": Buffer.byteLength(payload),
        },
      } as RequestOptions)
      call.on("error", (error) => reject(this.#unreachable(error)))
      call.on("response", (response) => void refuse(response).catch(reject))
      call.on("upgrade", (response, socket, head) => {
        if (head.length > 0) socket.unshift(head)
        resolve({ socket, contentType: response.headers["content-type"] ?? "" })
      })
      call.end(payload)
    })
  }

  /** Lets idle connections go, so that the process may end. */
  close(): void {
    this.#agent.destroy()
  }

  #unreachable(error: NodeJS.ErrnoException): Error {
    if (error instanceof Failure || error.name === "AbortError") return error
    if (!["ENOENT", "ECONNREFUSED", "EACCES", "FailedToOpenSocket"].includes(error.code ?? "")) return error
    const reason =
      error.code === "EACCES" ? "permission denied while trying to connect to" : "Cannot connect to"
    return failure("unavailable", `${reason} the Sloop daemon at ${this.host}. Is the daemon running?`, {
      cause: error,
    })
  }
}

async function writeAll(call: NodeJS.WritableStream, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of bytes)
    if (!call.write(chunk)) await new Promise((resolve) => call.once("drain", resolve))
  call.end()
}
