// HTTP/1.1 as a client speaks it over one connection: request heads, answer heads, bodies by length, chunks or the end.
import { failure } from "../base/errors.ts"
import type { Connection } from "./connection.ts"

const longestHead = 256 * 1024 // bytes

export interface Head {
  readonly status: number
  /** By lower-case name; a repeated one keeps its last value. */
  readonly headers: Readonly<Record<string, string>>
}

/** The bytes of a request's head. */
export function requestHead(method: string, path: string, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`
}

/** Parses an answer's head without its empty line. Throws Failure "unavailable" when it is not HTTP. */
function parseHead(text: string): Head {
  const [first = "", ...lines] = text.split("\r\n")
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1]
  if (!status)
    throw failure("unavailable", "the server does not speak HTTP: is another program listening there?")
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(":")
    if (colon > 0) headers[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim()
  }
  return { status: Number(status), headers }
}

/** Collects bytes until `mark` was seen: what is before it; the rest is put back. */
async function readUntil(connection: Connection, mark: string, most: number): Promise<string> {
  let held: Buffer | undefined
  for (;;) {
    const bytes = await connection.read()
    if (!bytes) throw failure("unavailable", "the server closed the connection in the middle of an answer")
    held = held ? Buffer.concat([held, bytes]) : bytes
    const at = held.indexOf(mark)
    if (at >= 0) {
      connection.unread(held.subarray(at + mark.length))
      return held.toString("latin1", 0, at)
    }
    if (held.length > most) throw failure("unavailable", "the server's answer has a head without end")
  }
}

/** The next final answer's head; "100 Continue" and its kind are skipped, a switch of protocols is final. */
export async function readHead(connection: Connection): Promise<Head> {
  for (;;) {
    const head = parseHead(await readUntil(connection, "\r\n\r\n", longestHead))
    if (head.status >= 200 || head.status === 101) return head
  }
}

/** A body's bytes as they come. Afterwards the connection stands at the next answer, when `reusable` says so. */
export async function* readBody(
  connection: Connection,
  { status, headers }: Head,
  method: string,
): AsyncGenerator<Buffer> {
  if (method === "HEAD" || status === 204 || status === 304) return
  if (/chunked/i.test(headers["transfer-encoding"] ?? "")) yield* readChunks(connection)
  else if (headers["content-length"] !== undefined)
    yield* readExactly(connection, Number(headers["content-length"]))
  else for (let bytes = await connection.read(); bytes; bytes = await connection.read()) yield bytes
}

/** Whether the connection may carry another request once the body has been read to its end. */
export const reusable = ({ status, headers }: Head, method: string): boolean =>
  !/close/i.test(headers.connection ?? "") &&
  (method === "HEAD" ||
    status === 204 ||
    status === 304 ||
    headers["content-length"] !== undefined ||
    /chunked/i.test(headers["transfer-encoding"] ?? ""))

async function* readExactly(connection: Connection, length: number): AsyncGenerator<Buffer> {
  let left = length
  while (left > 0) {
    const bytes = await connection.read()
    if (!bytes) throw failure("unavailable", "the server closed the connection in the middle of an answer")
    const part = bytes.subarray(0, left)
    connection.unread(bytes.subarray(part.length))
    left -= part.length
    yield part
  }
}

async function* readChunks(connection: Connection): AsyncGenerator<Buffer> {
  for (;;) {
    const size = Number.parseInt(await readUntil(connection, "\r\n", 1024), 16)
    if (Number.isNaN(size)) throw failure("unavailable", "the server's answer is cut into chunks wrongly")
    if (size > 0) yield* readExactly(connection, size)
    // A chunk ends with an empty line; after the last one there may be trailers, which end with one too.
    while ((await readUntil(connection, "\r\n", longestHead)) !== "" && size === 0);
    if (size === 0) return
  }
}
