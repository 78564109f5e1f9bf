// Parses JSON from others: bounded in size and depth, UTF-8 only, with errors that name the document.
import { failure } from "./errors.ts"

export type JsonObject = Readonly<Record<string, unknown>>

export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const deepest = 64

/** Whether brackets outside of strings nest deeper than allowed; JSON.parse recurses, so this is looked at before. */
const nestsTooDeep = (text: string): boolean => {
  let depth = 0
  let quoted = false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (quoted) {
      if (code === 0x5c) at++
      else if (code === 0x22) quoted = false
    } else if (code === 0x22) quoted = true
    else if (code === 0x7b || code === 0x5b) {
      if (++depth > deepest) return true
    } else if (code === 0x7d || code === 0x5d) depth--
  }
  return false
}

/** Any JSON value. `what` names the document in messages; `maximum` is in bytes. Throws Failure "invalid". */
export const parseJson = (bytes: Uint8Array, what: string, maximum = 4 << 20): unknown => {
  if (bytes.length > maximum)
    throw failure("invalid", `${what} is ${bytes.length} bytes long; at most ${maximum} are accepted`)
  let text: string
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes)
  } catch (cause) {
    throw failure("invalid", `${what} is not UTF-8 text`, { cause })
  }
  if (nestsTooDeep(text)) throw failure("invalid", `${what} nests deeper than ${deepest} levels`)
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw failure("invalid", `${what} is not valid JSON`, { cause })
  }
}

/** As {@link parseJson}, but the value must be an object. */
export const parseJsonObject = (bytes: Uint8Array, what: string, maximum?: number): JsonObject => {
  const value = parseJson(bytes, what, maximum)
  if (!isJsonObject(value)) throw failure("invalid", `${what} is not a JSON object`)
  return value
}
