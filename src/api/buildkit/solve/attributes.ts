// What a Dockerfile build is asked by frontend attributes, read one by one. Throws invalid in BuildKit's words.
import { isIP } from "node:net"
import { failure } from "../../../base/errors.ts"
import type { CacheLocation } from "../../../build/build.ts"
import type { Ulimit } from "../../../state/state.ts"

export type Attributes = ReadonlyMap<string, string>

/** Entries whose key begins with `prefix`, without it, by name: clients send maps in any order, and results must not differ by it. */
export const prefixed = (attributes: Attributes, prefix: string): Map<string, string> =>
  new Map(
    [...attributes]
      .flatMap(([key, value]) => (key.startsWith(prefix) ? [[key.slice(prefix.length), value] as const] : []))
      .sort(([one], [other]) => (one < other ? -1 : 1)),
  )

/** Fields of one line of CSV; quotes hold commas, doubled ones a quote. */
export function csvFields(text: string): string[] {
  const fields: string[] = []
  for (let at = 0; at <= text.length; ) {
    const quoted = /"((?:[^"]|"")*)"(?=,|$)/y
    const plain = /[^",]*(?=,|$)/y
    quoted.lastIndex = at
    plain.lastIndex = at
    const found = quoted.exec(text) ?? plain.exec(text)
    if (found === null)
      throw failure("invalid", `parse error in ${JSON.stringify(text)}: bare " in non-quoted field`)
    fields.push(found[1] === undefined ? found[0] : found[1].replaceAll('""', '"'))
    at += found[0].length + 1
  }
  return fields
}

/** "host=address,…" as "host:address". */
export function extraHosts(text: string): string[] {
  if (text === "") return []
  return csvFields(text).map((field) => {
    const equals = field.indexOf("=")
    if (equals < 0) throw failure("invalid", `invalid key-value pair ${field}`)
    const address = field.slice(equals + 1)
    if (isIP(address) === 0) throw failure("invalid", `failed to parse IP ${address}`)
    return `${field.slice(0, equals).toLowerCase()}:${address}`
  })
}

/** "nofile=1024:2048,…" */
export function ulimits(text: string): Ulimit[] {
  if (text === "") return []
  return csvFields(text).map((field) => {
    const [, name, soft, hard] = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(field) ?? []
    if (name === undefined || soft === undefined)
      throw failure("invalid", `invalid ulimit argument: ${field}`)
    const limit = { name, soft: Number(soft), hard: Number(hard ?? soft) }
    if (limit.hard >= 0 && (limit.soft < 0 || limit.soft > limit.hard))
      throw failure(
        "invalid",
        `ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`,
      )
    return limit
  })
}

export function wholeNumber(text: string, what: string): number {
  if (text === "") return 0
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 0)
    throw failure("invalid", `failed to parse ${what}: ${JSON.stringify(text)} is not a whole number`)
  return number
}

export function networkMode(text: string): string {
  if (text === "" || text === "sandbox" || text === "default") return ""
  if (text === "none" || text === "host") return text
  throw failure("invalid", `invalid netmode ${text}`)
}

/** "cache-imports" is JSON, "cache-from" names of images. */
export function cacheImports(attributes: Attributes): CacheLocation[] {
  const json = attributes.get("cache-imports")
  if (json !== undefined && json !== "") {
    const wrong = () => failure("invalid", "failed to unmarshal cache-imports: it must be a list of objects")
    let entries: unknown
    try {
      entries = JSON.parse(json)
    } catch {
      throw wrong()
    }
    if (!Array.isArray(entries)) throw wrong()
    return entries.map((entry: { Type?: unknown; Attrs?: unknown } | null) => {
      if (typeof entry?.Type !== "string") throw wrong()
      const values = Object.entries(entry.Attrs ?? {}).filter(([, value]) => typeof value === "string")
      return { type: entry.Type, attributes: new Map(values as [string, string][]) }
    })
  }
  const names = (attributes.get("cache-from") ?? "").split(",").filter((name) => name !== "")
  return names.map((name) => ({ type: "registry", attributes: new Map([["ref", name]]) }))
}

/** `attest:sbom=…`: type to attributes. "disabled" ones stay out. */
export function attestations(attributes: Attributes): Map<string, ReadonlyMap<string, string>> {
  const found = new Map<string, ReadonlyMap<string, string>>()
  for (const [type, text] of prefixed(attributes, "attest:")) {
    const values = new Map(
      (text === "" ? [] : csvFields(text)).map((field) => {
        const equals = field.indexOf("=")
        return equals < 0
          ? ([field, "true"] as const)
          : ([field.slice(0, equals), field.slice(equals + 1)] as const)
      }),
    )
    if (values.get("disabled") !== "true") found.set(type, values)
  }
  return found
}

/** The frontend abilities that a client asks for and that this one has. */
const ABILITIES: ReadonlySet<string> = new Set([
  "moby.buildkit.frontend.contexts",
  "moby.buildkit.frontend.inputs",
  "moby.buildkit.frontend.subrequests",
  "moby.buildkit.frontend.gitquerystring",
])

/** The first ability that the client insists on and that is missing; "+forward" ones are only wishes. */
export const missingAbility = (attributes: Attributes): string | undefined =>
  (attributes.get("frontend.caps") ?? "")
    .split(",")
    .filter((name) => name !== "" && !name.endsWith("+forward"))
    .find((name) => !ABILITIES.has(name))
