// Registries: pull, push, login, search, and a look at what they have.
import { errorKind, failure } from "../../base/errors.ts"
import { parseJsonObject } from "../../base/json-bounded.ts"
import type { Engine } from "../../engine/engine.ts"
import { type Images, inspectRemote } from "../../images/images.ts"
import { normalisePlatform, parsePlatformObject } from "../../oci/platform.ts"
import { familiarName, parseReference } from "../../oci/reference.ts"
import {
  authConfigSchema,
  type DistributionInspect,
  type LoginView,
  type SearchResult,
} from "../../wire/wire.ts"
import { readJson } from "../body.ts"
import type { Call } from "../call.ts"
import { flagFilter, oneFilter } from "../query.ts"
import type { Route } from "../route.ts"
import { progressStream } from "../stream/lines.ts"
import {
  credentialsOf,
  headerCredentials,
  progressLine,
  serverDomain,
  targetReference,
} from "../translate/registry.ts"

const SEARCH_FILTERS: ReadonlySet<string> = new Set(["is-official", "is-automated", "stars"])
const MOST_FOUND = 100
const DEFAULT_FOUND = 25

const credentialsFrom = (call: Call) => headerCredentials(call.request.headers["x-registry-auth"])

/** POST /images/create?fromImage: a name without tag or digest means all tags of the repository. */
export function pullImage(images: Images, call: Call): Promise<void> {
  const { query } = call
  // The docker client asks for all tags with a colon and nothing behind it.
  const wanted = query.text("fromImage").replace(/:$/, "")
  const reference = targetReference(wanted, query.text("tag")) ?? ""
  const credentials = credentialsFrom(call)
  const platform = query.optional("platform")
  const signal = call.gone
  return progressStream(call, async (lines) => {
    await images.pull(
      { reference, all: true, platform, credentials },
      (progress) => lines.write(progressLine(progress)),
      signal,
    )
  })
}

export function registryRoutes(engine: Pick<Engine, "images">): Route[] {
  const { images } = engine

  function push(call: Call): Promise<void> {
    const tag = call.query.text("tag")
    const name = call.param("name")
    const platform = wantedPlatform(call.query.optional("platform"))
    const reference = targetReference(name, tag) ?? name
    const credentials = credentialsFrom(call)
    const signal = call.gone
    parseReference(reference)
    return progressStream(call, async (lines) => {
      const report = (progress: Parameters<Parameters<Images["push"]>[1]>[0]) =>
        lines.write(progressLine(progress))
      await images.push({ reference, all: tag === "", platform, credentials }, report, signal)
    })
  }

  async function login(call: Call): Promise<void> {
    const auth = await readJson(call.request, authConfigSchema)
    const { identityToken } = await images.registries.login(
      serverDomain(auth.serveraddress),
      credentialsOf(auth),
      call.gone,
    )
    call.json({ Status: "Login Succeeded", IdentityToken: identityToken } satisfies LoginView)
  }

  async function distribution(call: Call): Promise<void> {
    const name = call.param("name")
    const { descriptor, platforms } = await inspectRemote(
      images.registries,
      name,
      credentialsFrom(call),
      call.gone,
    )
    const { mediaType, digest, size } = descriptor
    const view: DistributionInspect = {
      Descriptor: { mediaType, digest, size },
      Platforms: platforms.map(({ os, architecture, variant }) => ({
        architecture,
        os,
        ...(variant === "" ? {} : { variant }),
      })),
    }
    call.json(view)
  }

  async function search(call: Call): Promise<void> {
    const { query } = call
    const asked = query.text("term")
    if (asked === "") throw failure("invalid", "bad parameter: term cannot be empty")
    const limit = query.whole("limit") ?? 0
    if (limit < 0 || limit > MOST_FOUND)
      throw failure("invalid", `limit ${limit} is outside the range of [1, ${MOST_FOUND}]`)
    const filters = query.filters(SEARCH_FILTERS)
    const official = flagFilter(filters, "is-official")
    const automated = flagFilter(filters, "is-automated")
    const stars = Number(oneFilter(filters, "stars") ?? 0)
    if (!Number.isInteger(stars)) throw failure("invalid", "invalid filter 'stars': write a whole number")
    const { domain, term } = searchTerm(asked)
    const found = await images.registries.search(
      domain,
      term,
      { limit: limit || DEFAULT_FOUND, credentials: credentialsFrom(call) },
      call.gone,
    )
    call.json(
      found
        .filter(
          (entry) =>
            (official === undefined || entry.official === official) &&
            automated !== true &&
            entry.stars >= stars,
        )
        .map(
          (entry): SearchResult => ({
            star_count: entry.stars,
            is_official: entry.official,
            name: entry.name,
            is_automated: false,
            description: entry.description,
          }),
        ),
    )
  }

  const yes = { support: "yes" } as const
  return [
    {
      ...yes,
      method: "POST",
      path: "/images/:name+/push",
      summary: "Push an image to a registry",
      run: push,
    },
    { ...yes, method: "GET", path: "/images/search", summary: "Search a registry", run: search },
    { ...yes, method: "POST", path: "/auth", summary: "Check registry credentials", run: login },
    {
      ...yes,
      method: "GET",
      path: "/distribution/:name+/json",
      summary: "Look at an image in a registry",
      run: distribution,
    },
  ]
}

/** A push names its platform by an object in JSON. */
function wantedPlatform(text: string | undefined) {
  if (text === undefined) return undefined
  return normalisePlatform(
    parsePlatformObject(parseJsonObject(Buffer.from(text), "the platform"), "the request"),
  )
}

/** "registry.example:5000/word" searches there, anything else docker.io. */
function searchTerm(text: string): { domain: string; term: string } {
  const slash = text.indexOf("/")
  const first = slash < 0 ? "" : text.slice(0, slash)
  if (/[.:]/.test(first) || first === "localhost") return { domain: first, term: text.slice(slash + 1) }
  try {
    return { domain: "docker.io", term: familiarName(parseReference(text)) }
  } catch (error) {
    if (errorKind(error) !== "invalid") throw error
    return { domain: "docker.io", term: text }
  }
}
