// Request bodies: bounded JSON checked by a schema, and byte streams with back-pressure.
import type { IncomingMessage } from "node:http"
import * as v from "valibot"
import { failure } from "../base/errors.ts"
import { foldKeys } from "../wire/fold-keys.ts"

/** Largest JSON body. */
const MAX_JSON = 4 * 1024 * 1024
/** What is read and thrown away of a larger one before it is refused. */
const MAX_DRAINED = 16 * MAX_JSON

const tooLarge = (): Error =>
  failure("invalid", `the request body is larger than ${MAX_JSON / 1024 / 1024} MiB`)

/** The body, decoded. Throws invalid for a wrong type, malformed JSON, or a shape that the schema refuses. */
export async function readJson<S extends v.GenericSchema>(
  request: IncomingMessage,
  schema: S,
): Promise<v.InferOutput<S>> {
  const body = await readText(request)
  if (body !== "") requireJsonType(request)
  else throw failure("invalid", "invalid JSON: got EOF while reading request body")
  return decode(body, schema)
}

/** As readJson, but a missing body is an empty object. */
export async function readOptionalJson<S extends v.GenericSchema>(
  request: IncomingMessage,
  schema: S,
): Promise<v.InferOutput<S>> {
  const body = await readText(request)
  if (body === "") return decode("{}", schema)
  requireJsonType(request)
  return decode(body.trim() === "null" ? "{}" : body, schema)
}

function requireJsonType(request: IncomingMessage): void {
  const type = request.headers["content-type"] ?? ""
  if (type.split(";", 1)[0]?.trim().toLowerCase() !== "application/json") {
    throw failure("invalid", `unsupported Content-Type header (${type}): must be 'application/json'`)
  }
}

function decode<S extends v.GenericSchema>(body: string, schema: S): v.InferOutput<S> {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw failure("invalid", `invalid JSON: ${reason}`, { cause })
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw failure("invalid", "invalid JSON: the request body must be an object")
  }
  const result = v.safeParse(schema, foldKeys(schema, value), { abortEarly: true })
  if (result.success) return result.output
  const issue = result.issues[0]
  const path = v.getDotPath(issue)
  throw failure("invalid", `invalid JSON: ${path === null ? "" : `${path} `}${issue.message}`.trim())
}

/** Reads and forgets a body that the route has no use for, so that the connection stays usable. */
export function discard(request: IncomingMessage): void {
  request.resume()
}

function readText(request: IncomingMessage): Promise<string> {
  if (request.headers["content-length"] === "0") return Promise.resolve("")
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    request.on("data", (chunk: Buffer) => {
      size += chunk.length
      if (size <= MAX_JSON) chunks.push(chunk)
      else chunks.length = 0
      // A client that is still sending would miss the answer: it is given at the end, unless there is none in sight.
      if (size > MAX_DRAINED) reject(tooLarge())
    })
    request.once("end", () => {
      if (size > MAX_JSON) {
        reject(tooLarge())
        return
      }
      const first = chunks[0]
      resolve(
        chunks.length === 1 && first !== undefined ? first.toString() : Buffer.concat(chunks).toString(),
      )
    })
    request.once("error", (cause) => reject(failure("cancelled", "the client went away", { cause })))
    request.once("close", () => reject(failure("cancelled", "the client went away")))
  })
}
