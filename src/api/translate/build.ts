// POST /build between the wire and the builder: query parameters, credentials, outputs.
import * as v from "valibot"
import { failure } from "../../base/errors.ts"
import { parseJson, parseJsonObject } from "../../base/json-bounded.ts"
import type { BuildRequest, CacheLocation, ContextSource, ExportOptions } from "../../build/build.ts"
import { hostPlatform, normalisePlatform, type Platform, parsePlatform } from "../../oci/platform.ts"
import { credentialsKeyOf, formatReference, parseReference, withDefaultTag } from "../../oci/reference.ts"
import type { Credentials } from "../../registry-client/registry-client.ts"
import type { Ulimit } from "../../state/state.ts"
import { authConfigSchema } from "../../wire/wire.ts"
import type { Query } from "../query.ts"
import { credentialsOf, headerValue } from "./registry.ts"

const LONGEST_HEADER = 256 * 1024

/** A classic build as the query asks for it; `tags` are full names. */
export interface ClassicBuild {
  readonly request: BuildRequest
  readonly tags: readonly string[]
  readonly squash: boolean
  readonly quiet: boolean
  /** Tell of intermediate containers as removed. */
  readonly removes: boolean
}

/** Reads every parameter of API 1.24 to 1.51. Throws invalid in Docker's words. */
export function classicBuild(
  query: Query,
  body: AsyncIterable<Uint8Array>,
  credentials: BuildRequest["credentials"],
): ClassicBuild {
  const isolation = query.text("isolation").toLowerCase()
  if (isolation !== "" && isolation !== "default")
    throw failure("invalid", `unsupported isolation: "${isolation}"`)
  if (query.all("securityopt").some((option) => option !== ""))
    throw failure("invalid", "The daemon on this platform does not support setting security options on build")
  const remote = query.text("remote")
  const buildArgs = textValues(query.text("buildargs"), "build args")
  return {
    request: {
      ...optional("id", query.optional("buildid")),
      context: remote === "" ? { type: "tar", bytes: body } : remoteContext(remote),
      dockerfilePath: query.first("dockerfile") ?? "Dockerfile",
      namedContexts: new Map(),
      target: query.text("target"),
      buildArgs,
      labels: textValues(query.text("labels"), "labels"),
      platforms: platformsOf(query.text("platform")),
      noCache: query.flag("nocache"),
      noCacheFilter: [],
      pull: query.flag("pull"),
      extraHosts: query
        .all("extrahosts")
        .flatMap((text) => text.split(","))
        .filter(Boolean),
      network: query.text("networkmode"),
      shmSize: amount(query, "shmsize"),
      ulimits: ulimitsOf(query.text("ulimits")),
      cgroupParent: query.text("cgroupparent"),
      memory: amount(query, "memory"),
      memorySwap: query.whole("memswap") ?? 0,
      cpuShares: amount(query, "cpushares"),
      cpuQuota: query.whole("cpuquota") ?? 0,
      cpuPeriod: amount(query, "cpuperiod"),
      cpusetCpus: query.text("cpusetcpus"),
      cpusetMems: query.text("cpusetmems"),
      entitlements: query.text("networkmode") === "host" ? ["network.host"] : [],
      secrets: async () => undefined,
      ssh: async () => undefined,
      credentials,
      cacheFrom: cacheFromOf(query.text("cachefrom")),
      face: "classic",
    },
    tags: tagsOf(query.all("t")),
    squash: query.flag("squash"),
    quiet: query.flag("q"),
    removes: query.flag("rm", true) || query.flag("forcerm"),
  }
}

/** Where a classic build goes: the local store, under its names. */
export const localImage = (
  { tags, squash }: Pick<ClassicBuild, "tags" | "squash">,
  credentials: BuildRequest["credentials"],
): ExportOptions => ({
  exports: [
    {
      type: "image",
      attributes: new Map(tags.length === 0 ? [] : [["name", tags.join(",")]]),
    },
  ],
  cacheTo: [],
  attestations: new Map(),
  squash,
  credentials,
})

const optional = <K extends string, T>(key: K, value: T | undefined): { [P in K]?: T } =>
  value === undefined ? {} : ({ [key]: value } as { [P in K]: T })

/** The names of `-t`, each once, with their tag. Throws invalid as dockerd words it. */
export function tagsOf(names: readonly string[]): string[] {
  const found = names
    .filter((name) => name !== "")
    .map((name) => {
      const reference = parseReference(name)
      if (reference.digest !== undefined) throw failure("invalid", "build tag cannot contain a digest")
      return formatReference(withDefaultTag(reference))
    })
  return [...new Set(found)]
}

/** URL or Git address. */
export function remoteContext(text: string): ContextSource {
  if (text === "client-session" || text === "upload-request")
    throw failure(
      "invalid",
      `a build with remote=${text} needs BuildKit: set DOCKER_BUILDKIT=1 or send the context`,
    )
  if (!isRemote(text)) throw failure("invalid", `remoteURL (${text}) could not be recognized as URL`)
  return {
    type: "remote",
    url:
      /^(github\.com\/|https?:|git:|ssh:|git@)/.test(text) && !text.startsWith("github.com/")
        ? text
        : remoteAddress(text),
  }
}

const remoteAddress = (text: string): string => (text.startsWith("github.com/") ? `https://${text}` : text)

const isRemote = (text: string): boolean =>
  /^(https?|git|ssh):\/\/./.test(text) || /^(github\.com\/|git@)/.test(text) || /\.git(#.*)?$/.test(text)

function textValues(text: string, what: string): Map<string, string> {
  if (text === "") return new Map()
  const values = parseJsonObject(Buffer.from(text), `the ${what}`)
  const found = new Map<string, string>()
  for (const [key, value] of Object.entries(values)) {
    // A build argument without a value is as if it were not given.
    if (value === null) continue
    if (typeof value !== "string")
      throw failure("invalid", `error reading ${what}: the value of ${JSON.stringify(key)} is no text`)
    found.set(key, value)
  }
  return found
}

function amount(query: Query, name: string): number {
  const value = query.whole(name) ?? 0
  if (value < 0) throw failure("invalid", `bad parameter: ${name}=${value} must not be negative`)
  return value
}

export function platformsOf(text: string): Platform[] {
  return text
    .split(",")
    .filter((one) => one !== "")
    .map((one) => (one === "local" ? hostPlatform() : normalisePlatform(parsePlatform(one))))
}

const ulimitSchema = v.array(
  v.object({
    Name: v.string(),
    Soft: v.nullish(v.pipe(v.number(), v.safeInteger()), 0),
    Hard: v.nullish(v.pipe(v.number(), v.safeInteger()), 0),
  }),
)

function ulimitsOf(text: string): Ulimit[] {
  if (text === "" || text === "null") return []
  const result = v.safeParse(ulimitSchema, parseJson(Buffer.from(text), "the ulimits"), { abortEarly: true })
  if (!result.success)
    throw failure("invalid", 'error reading ulimit settings: write [{"Name":…,"Soft":…,"Hard":…}]')
  return result.output.map(({ Name, Soft, Hard }) => ({ name: Name, soft: Soft, hard: Hard }))
}

/** The classic builder's images, each an inline cache. */
function cacheFromOf(text: string): CacheLocation[] {
  if (text === "" || text === "null") return []
  const names = parseJson(Buffer.from(text), "cachefrom")
  if (!Array.isArray(names) || !names.every((name) => typeof name === "string"))
    throw failure("invalid", "bad parameter: cachefrom must be a list of names")
  return names
    .filter((name) => name !== "")
    .map((name) => ({ type: "registry", attributes: new Map([["ref", name]]) }))
}

const registryConfigSchema = v.record(v.string(), authConfigSchema)

/** X-Registry-Config: base64 of accounts by registry. Throws invalid for what is none. */
export function headerAccounts(header: string | string[] | undefined): BuildRequest["credentials"] {
  const sentence = "invalid X-Registry-Config header: it must be accounts by registry as JSON in base64url"
  const wrong = (cause?: unknown) => failure("invalid", sentence, { cause })
  const value = headerValue(header, LONGEST_HEADER, wrong)
  if (value === undefined) return async () => undefined
  const result = v.safeParse(registryConfigSchema, value ?? {}, { abortEarly: true })
  if (!result.success) throw wrong()
  const accounts = new Map<string, Credentials>(
    Object.entries(result.output).map(([key, account]) => [hostOf(key), credentialsOf(account)]),
  )
  return async (domain) => accounts.get(hostOf(credentialsKeyOf(domain))) ?? accounts.get(domain)
}

/** The host in any of the forms under which clients keep accounts. */
const hostOf = (key: string): string => key.replace(/^https?:\/\//, "").split("/")[0] ?? ""
