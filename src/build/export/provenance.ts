// Provenance of a build in SLSA's forms v0.2 and v1, with the field names that BuildKit's have. Secrets are no part of it:
// what is written is what the request names, without credentials in addresses.
import { failure } from "../../base/errors.ts"
import { formatPlatform, hostPlatform } from "../../oci/platform.ts"
import type { BuildRequest, BuiltImage, ContextSource, Material, Solved } from "../build.ts"
import { type Attributes, flag } from "./attributes.ts"

export interface Predicate {
  readonly predicateType: string
  readonly predicate: object
}

const buildType = "https://mobyproject.org/buildkit@v1"
const definitions = "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md"

/** An address without user and password. */
const redacted = (address: string): string =>
  address.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/@\s]*@/i, "$1xxxxx:xxxxx@")

const digestSet = (digest: string): Record<string, string> => {
  const [algorithm = "", hex = ""] = digest.split(":")
  return hex === "" ? {} : { [algorithm]: hex }
}

const written = ({ uri, digest }: Material) => ({ uri: redacted(uri), digest: digestSet(digest) })

const contextUri = (source: ContextSource): string =>
  source.type === "remote" ? redacted(source.url) : source.type === "image" ? source.reference : ""

/** Arguments of the Dockerfile frontend by its own names. mode=min leaves out what users pass in. */
const argumentsOf = (request: BuildRequest, whole: boolean): Record<string, string> => {
  const args = new Map<string, string>()
  if (request.target !== "") args.set("target", request.target)
  if (request.noCache) args.set("no-cache", "")
  if (request.network !== "" && request.network !== "default") args.set("force-network-mode", request.network)
  if (request.extraHosts.length > 0) args.set("add-hosts", request.extraHosts.join(","))
  if (whole) {
    for (const [name, value] of request.buildArgs) args.set(`build-arg:${name}`, redacted(value))
    for (const [name, value] of request.labels) args.set(`label:${name}`, value)
  }
  for (const [name, source] of request.namedContexts) {
    const uri = contextUri(source)
    args.set(`context:${name}`, uri === "" ? `local:${name}` : uri)
  }
  return Object.fromEntries([...args].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

const localsOf = (request: BuildRequest): { name: string }[] => {
  const isLocal = ({ type }: ContextSource) => type === "directory" || type === "tar" || type === "synced"
  const named = [...request.namedContexts].filter(([, source]) => isLocal(source)).map(([name]) => name)
  return [...(isLocal(request.context) ? ["context", "dockerfile"] : []), ...named].map((name) => ({ name }))
}

interface Facts {
  readonly builderId: string
  readonly reproducible: boolean
  readonly parameters: object
  readonly completeParameters: boolean
  readonly completeMaterials: boolean
  readonly source: { readonly uri?: string; readonly digest?: Record<string, string>; readonly entry: string }
  readonly materials: readonly object[]
  readonly metadata: object
  readonly startedOn: string
  readonly finishedOn: string
  readonly id: string
}

/** The attributes of --provenance: mode, version, builder-id, reproducible. Throws "invalid". */
export const readProvenance = (attributes: Attributes) => {
  const mode = attributes.get("mode") || "min"
  if (mode !== "min" && mode !== "max" && mode !== "full")
    throw failure("invalid", `invalid mode "${mode}" of provenance: use mode=min or mode=max`)
  const version = attributes.get("version") || "v0.2"
  if (version !== "v0.2" && version !== "v1")
    throw failure("invalid", `invalid provenance SLSA version "${version}": use version=v0.2 or version=v1`)
  return {
    whole: mode !== "min",
    version,
    builderId: attributes.get("builder-id") ?? "",
    reproducible: flag(attributes, "reproducible", false),
  }
}

const gatherFacts = (solved: Solved, image: BuiltImage, attributes: Attributes): Facts => {
  const { request } = solved
  const { whole, builderId, reproducible } = readProvenance(attributes)
  const locals = localsOf(request)
  const uri = contextUri(request.context)
  const own = image.materials.find((material) => redacted(material.uri) === uri)
  const passed = request.buildArgs.size + request.labels.size > 0
  const entry = request.dockerfilePath ?? "Dockerfile"
  return {
    ...{ builderId, reproducible },
    parameters: {
      frontend: "dockerfile.v0",
      args: argumentsOf(request, whole),
      ...(locals.length === 0 ? {} : { locals }),
    },
    completeParameters: whole || !passed,
    completeMaterials: locals.length === 0,
    source: {
      ...(uri === "" ? {} : { uri }),
      ...(own === undefined ? {} : { digest: digestSet(own.digest) }),
      entry,
    },
    materials: image.materials.map(written),
    metadata: whole
      ? {
          source: {
            infos: [
              {
                filename: entry,
                language: "Dockerfile",
                data: Buffer.from(solved.dockerfile).toString("base64"),
              },
            ],
          },
        }
      : {},
    startedOn: new Date(solved.startedAt).toISOString(),
    finishedOn: new Date().toISOString(),
    id: solved.id,
  }
}

const slsa02 = (facts: Facts): object => ({
  builder: { id: facts.builderId },
  buildType,
  materials: facts.materials,
  invocation: {
    configSource: {
      ...(facts.source.uri === undefined ? {} : { uri: facts.source.uri }),
      ...(facts.source.digest === undefined ? {} : { digest: facts.source.digest }),
      entryPoint: facts.source.entry,
    },
    parameters: facts.parameters,
    environment: { platform: formatPlatform(hostPlatform()) },
  },
  metadata: {
    buildInvocationID: facts.id,
    buildStartedOn: facts.startedOn,
    buildFinishedOn: facts.finishedOn,
    completeness: {
      parameters: facts.completeParameters,
      environment: true,
      materials: facts.completeMaterials,
    },
    reproducible: facts.reproducible,
    [`${buildType}#metadata`]: facts.metadata,
  },
})

const slsa1 = (facts: Facts): object => ({
  buildDefinition: {
    buildType: definitions,
    externalParameters: {
      configSource: {
        ...(facts.source.uri === undefined ? {} : { uri: facts.source.uri }),
        ...(facts.source.digest === undefined ? {} : { digest: facts.source.digest }),
        path: facts.source.entry,
      },
      request: facts.parameters,
    },
    internalParameters: { builderPlatform: formatPlatform(hostPlatform()) },
    resolvedDependencies: facts.materials,
  },
  runDetails: {
    builder: { id: facts.builderId },
    metadata: {
      invocationId: facts.id,
      startedOn: facts.startedOn,
      finishedOn: facts.finishedOn,
      buildkit_metadata: facts.metadata,
      buildkit_completeness: {
        request: facts.completeParameters,
        resolvedDependencies: facts.completeMaterials,
      },
      buildkit_reproducible: facts.reproducible,
    },
  },
})

/** By the attributes of --provenance. Throws "invalid". */
export const provenanceOf = (solved: Solved, image: BuiltImage, attributes: Attributes): Predicate => {
  const facts = gatherFacts(solved, image, attributes)
  return readProvenance(attributes).version === "v1"
    ? { predicateType: "https://slsa.dev/provenance/v1", predicate: slsa1(facts) }
    : { predicateType: "https://slsa.dev/provenance/v0.2", predicate: slsa02(facts) }
}
