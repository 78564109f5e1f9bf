// A typed door to an Engine API server over a unix socket or TCP: plain calls, streams and hijacked connections.
import { type ErrorKind, errorMessage, Failure, failure } from "../base/errors.ts"
import { Connection, encode, type Place, type Tls } from "./connection.ts"
import { type Head, readBody, readHead, requestHead, reusable } from "./http.ts"
import { readText } from "./lines.ts"

export type { Connection, Tls } from "./connection.ts"
export { Demultiplexer } from "./frames.ts"
export { readLines, readRawLines, readText } from "./lines.ts"

/** Query parameters; undefined is left out, true is "1", objects are JSON, arrays repeat the key. */
export type Query = Readonly<
  Record<
    string,
    string | number | boolean | readonly string[] | Readonly<Record<string, unknown>> | undefined
  >
>

export interface CallOptions {
  readonly query?: Query
  /** Sent as JSON. */
  readonly body?: unknown
  /** Sent as it comes. */
  readonly stream?: AsyncIterable<Uint8Array>
  readonly contentType?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
}

/** An answer whose body has not been read: read it to its end, or cancel it. */
export interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: AsyncIterable<Buffer>
  /** Drops the answer and its connection. */
  cancel(): void
}

/** A hijacked connection. */
export interface Hijacked {
  readonly socket: Connection
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

const remote =
  "if command -v sloop >/dev/null 2>&1; then exec sloop system dial-stdio; else exec docker system dial-stdio; fi"

/** `ssh://[user@]host[:port]`: the engine there, by the ssh program with its keys and settings. */
function sshPlace(host: string): Place {
  const { username, hostname, port, pathname, password } = new URL(host)
  if (
    hostname === "" ||
    hostname.startsWith("-") ||
    username.startsWith("-") ||
    password !== "" ||
    pathname.length > 1
  )
    throw failure("invalid", `unable to parse docker host "${host}": use ssh://[user@]host[:port]`)
  const user = username ? ["-l", decodeURIComponent(username)] : []
  const words = [...user, ...(port ? ["-p", port] : []), "-o", "ConnectTimeout=30", "-T", "--"]
  return { command: ["ssh", ...words, hostname.replace(/^\[|\]$/g, ""), `sh -c '${remote}'`] }
}

/** Where a server listens: `unix:///path`, `tcp://host:port` (with `tls`: encrypted) or `ssh://host`. Throws Failure "invalid" for other forms. */
export function parseHost(host: string, tls?: Tls): Place {
  if (/^ssh:\/\/./.test(host) && URL.canParse(host)) return sshPlace(host)
  const match = /^(unix|tcp|https?):\/\/(.+)$/.exec(host)
  if (!match?.[2])
    throw failure(
      "invalid",
      `unable to parse docker host "${host}": use unix:///path/to/socket, tcp://host:port or ssh://host`,
    )
  if (match[1] === "unix") return { unix: match[2] }
  const address = new URL(`http://${match[2]}`)
  const safe = tls ?? (match[1] === "https" ? { verify: true } : undefined)
  return {
    hostname: address.hostname.replace(/^\[|\]$/g, ""),
    port: Number(address.port || (/:80$/.test(address.origin) ? 80 : safe ? 2376 : 2375)),
    ...(safe ? { tls: safe } : {}),
  }
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

async function refuse(connection: Connection, head: Head, method: string): Promise<never> {
  const text = await readText(readBody(connection, head, method))
  connection.close()
  let message = text.trim()
  try {
    message = (JSON.parse(text) as { message?: string }).message ?? message
  } catch {
    // Not JSON: its text is the best there is.
  }
  throw new ApiFailure(head.status, message || `the server answered ${head.status}`)
}

/** The Engine API of one server. Paths are given without a version prefix. */
export class EngineClient {
  readonly #place: Place
  readonly #idle: Connection[] = []
  readonly #busy = new Set<Connection>()
  readonly #whenUnreachable: (() => Promise<void>) | undefined
  readonly host: string
  readonly version: string

  /** Of version "" no prefix is sent. `whenUnreachable` is called once when nothing listens there; if it resolves the connection is tried again. */
  constructor(
    host: string,
    options: { version?: string; tls?: Tls | undefined; whenUnreachable?: () => Promise<void> } = {},
  ) {
    this.#place = parseHost(host, options.tls)
    this.#whenUnreachable = options.whenUnreachable
    this.host = host
    this.version = options.version ?? "1.50"
  }

  async #connect(): Promise<Connection> {
    for (let idle = this.#idle.pop(); idle; idle = this.#idle.pop()) if (idle.open) return idle
    try {
      return await Connection.open(this.#place)
    } catch (error) {
      const reason = this.#unreachable(error)
      if (!this.#whenUnreachable || reason.kind !== "unavailable") throw reason
      await this.#whenUnreachable()
      return await Connection.open(this.#place).catch((again: unknown) => {
        throw this.#unreachable(again)
      })
    }
  }

  #head(method: string, path: string, options: CallOptions, more: Readonly<Record<string, string>>): string {
    const headers = { Host: "sloop", "User-Agent": "sloop", ...more, ...options.headers }
    const prefix = this.version === "" ? "" : `/v${this.version}`
    return requestHead(method, `${prefix}${path}${encodeQuery(options.query ?? {})}`, headers)
  }

  /** Sends and resolves with the unread answer; throws ApiFailure for statuses from 300 on (304 included). */
  async send(method: string, path: string, options: CallOptions = {}): Promise<Answered> {
    const connection = await this.#connect()
    this.#busy.add(connection)
    const { signal } = options
    const stop = () => connection.close(signal?.reason)
    const release = () => signal?.removeEventListener("abort", stop)
    signal?.addEventListener("abort", stop)
    try {
      signal?.throwIfAborted()
      let sent = false
      const sending = this.#write(connection, method, path, options).then(() => {
        sent = true
      })
      const reading = readHead(connection)
      reading.catch(() => undefined)
      // An answer may come before all is sent (progress, a refusal); a source that breaks ends the call.
      const head = await Promise.race([reading, sending.then(() => reading)])
      sending.catch(stop)
      if (head.status >= 300) return await refuse(connection, head, method)
      return this.#answer(connection, head, method, () => sent, release)
    } catch (error) {
      release()
      this.#drop(connection)
      throw signal?.aborted ? signal.reason : error
    }
  }

  #answer(
    connection: Connection,
    head: Head,
    method: string,
    sent: () => boolean,
    release: () => void,
  ): Answered {
    const done = () => {
      release()
      if (!sent() || !reusable(head, method)) return this.#drop(connection)
      this.#busy.delete(connection)
      this.#idle.push(connection)
    }
    const drop = () => {
      release()
      this.#drop(connection)
    }
    async function* body(): AsyncGenerator<Buffer> {
      let whole = false
      try {
        yield* readBody(connection, head, method)
        whole = true
      } finally {
        if (whole) done()
        else drop()
      }
    }
    return { status: head.status, headers: head.headers, body: body(), cancel: drop }
  }

  async #write(connection: Connection, method: string, path: string, options: CallOptions): Promise<void> {
    const { body, stream } = options
    if (stream) {
      const contentType = options.contentType ?? "application/x-tar"
      const head = { "Content-Type": contentType, "Transfer-Encoding": "chunked" }
      // A server that refuses early stops reading: its answer tells more than our broken pipe.
      const put = (bytes: Uint8Array | string) =>
        connection.write(bytes).then(
          () => true,
          () => false,
        )
      await put(this.#head(method, path, options, head))
      for await (const chunk of stream) {
        if (chunk.length === 0) continue
        const size = `${chunk.length.toString(16)}\r\n`
        if (!((await put(size)) && (await put(chunk)) && (await put("\r\n")))) return
      }
      await put("0\r\n\r\n")
      return
    }
    if (body === undefined) {
      const length: Record<string, string> =
        method === "GET" || method === "HEAD" ? {} : { "Content-Length": "0" }
      return connection.write(this.#head(method, path, options, length))
    }
    const payload = JSON.stringify(body)
    const head = {
      "Content-Type": options.contentType ?? "application/json",
      "Content-Length": String(encode(payload).length),
    }
    return connection.write(this.#head(method, path, options, head) + payload)
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
    await readText(body)
    return status
  }

  /** A connection as it is, for one who speaks HTTP himself; `close` of the client does not end it. */
  dial(): Promise<Connection> {
    return this.#connect()
  }

  /** Turns a request into a raw connection (attach, exec start), which then is the caller's to close. */
  async hijack(path: string, options: CallOptions = {}): Promise<Hijacked> {
    const connection = await this.#connect()
    try {
      const payload = options.body === undefined ? "" : JSON.stringify(options.body)
      const head = {
        Connection: "Upgrade",
        Upgrade: "tcp",
        "Content-Type": "application/json",
        "Content-Length": String(encode(payload).length),
      }
      await connection.write(this.#head("POST", path, options, head) + payload)
      const answer = await readHead(connection)
      if (answer.status !== 101 && answer.status !== 200) return await refuse(connection, answer, "POST")
      this.#busy.add(connection)
      return { socket: connection, contentType: answer.headers["content-type"] ?? "" }
    } catch (error) {
      connection.close()
      throw error
    }
  }

  /** Closes every connection, so that the process may end. */
  close(): void {
    for (const connection of [...this.#idle.splice(0), ...this.#busy]) connection.close()
    this.#busy.clear()
  }

  #drop(connection: Connection): void {
    this.#busy.delete(connection)
    connection.close()
  }

  #unreachable(error: unknown): Failure {
    const code = error instanceof Error && "code" in error ? String(error.code) : ""
    const reason =
      code === "EACCES" || code === "EPERM"
        ? `permission denied while trying to connect to the Sloop daemon at ${this.host}: run this again with sudo`
        : code === "ENOENT" || code === "ECONNREFUSED"
          ? `Cannot connect to the Sloop daemon at ${this.host}. Is the daemon running?`
          : `Cannot connect to the Sloop daemon at ${this.host}: ${errorMessage(error)}`
    return failure(code === "EACCES" || code === "EPERM" ? "forbidden" : "unavailable", reason, {
      cause: error,
    })
  }
}
