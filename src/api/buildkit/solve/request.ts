// Frontend attributes and a session made into the builder's request.
import { failure } from "../../../base/errors.ts"
import type { BuildRequest, BuiltImage, ContextSource } from "../../../build/build.ts"
import { platformsOf, remoteContext } from "../../translate/build.ts"
import { sessionFiles } from "../session/file-sync.ts"
import { layoutContext, reached } from "../session/layouts.ts"
import { sessionAgents, sessionCredentials, sessionSecrets } from "../session/secrets.ts"
import type { Session } from "../session/sessions.ts"
import { sessionUpload, uploadPath } from "../session/upload.ts"
import {
  type Attributes,
  cacheImports,
  extraHosts,
  networkMode,
  prefixed,
  ulimits,
  wholeNumber,
} from "./attributes.ts"

/** Where the parts of a request come from. */
export interface Sources {
  readonly id: string
  readonly session: Session | undefined
  /** Other sessions by id, for `local-sessionid:` attributes. */
  readonly otherSession: (id: string) => Session
  /** What a frontend input is: files of the client's, or another build's result. */
  readonly input: (name: string) => Input | undefined
  readonly entitlements: readonly string[]
  /** The main context as a tar. */
  readonly upload: AsyncIterable<Uint8Array> | undefined
  readonly signal: AbortSignal
}

export type Input =
  | { readonly type: "local"; readonly name: string }
  | { readonly type: "image"; readonly reference: string }
  | { readonly type: "remote"; readonly url: string }
  | { readonly type: "result"; readonly image: BuiltImage }

/** Throws invalid for attributes that make no sense. */
export function buildRequest(attributes: Attributes, sources: Sources): BuildRequest {
  const { session } = sources
  const value = (key: string) => attributes.get(key) ?? ""
  const noCache = attributes.get("no-cache")
  const main = mainContext(attributes, sources)
  return {
    id: sources.id,
    context: main.context,
    ...(main.dockerfileContext === undefined ? {} : { dockerfileContext: main.dockerfileContext }),
    dockerfilePath: value("filename") || "Dockerfile",
    namedContexts: namedContexts(attributes, sources),
    target: value("target"),
    buildArgs: prefixed(attributes, "build-arg:"),
    labels: prefixed(attributes, "label:"),
    platforms: platformsOf(value("platform")),
    noCache: noCache === "",
    noCacheFilter: (noCache ?? "").split(",").filter((name) => name !== ""),
    pull: value("image-resolve-mode") === "pull",
    extraHosts: extraHosts(value("add-hosts")),
    network: networkMode(value("force-network-mode")),
    shmSize: wholeNumber(value("shm-size"), "shm size"),
    ulimits: ulimits(value("ulimit")),
    cgroupParent: value("cgroup-parent"),
    memory: 0,
    memorySwap: 0,
    cpuShares: 0,
    cpuQuota: 0,
    cpuPeriod: 0,
    cpusetCpus: "",
    cpusetMems: "",
    entitlements: sources.entitlements,
    secrets: session === undefined ? async () => undefined : sessionSecrets(session),
    ssh: session === undefined ? async () => undefined : sessionAgents(session),
    credentials: session === undefined ? async () => undefined : sessionCredentials(session),
    cacheFrom: cacheImports(attributes).map((entry) => reached(entry, "src", session)),
    face: "builder",
  }
}

/** The main context, and where the Dockerfile is when it is not in it. */
function mainContext(
  attributes: Attributes,
  sources: Sources,
): { readonly context: ContextSource; readonly dockerfileContext?: ContextSource } {
  const apart = attributes.get("dockerfilekey")
  const address = attributes.get(attributes.get("contextkey") ?? "context")
  const dockerfileContext =
    apart === undefined ? {} : { dockerfileContext: local(apart, attributes, sources) }
  if (sources.upload !== undefined)
    return { context: { type: "tar", bytes: sources.upload }, ...dockerfileContext }
  if (address !== undefined && address !== "") {
    const path = uploadPath(address)
    if (path === undefined) return { context: remoteContext(address), ...dockerfileContext }
    const { session, signal } = sources
    if (session === undefined) throw failure("invalid", "a context that the client uploads needs its session")
    return { context: { type: "tar", bytes: sessionUpload(session, path, signal) }, ...dockerfileContext }
  }
  const input = sources.input("context")
  const given = sources.input(apart ?? "dockerfile")
  return {
    context:
      input === undefined ? local("context", attributes, sources) : fromInput(input, attributes, sources),
    dockerfileContext:
      apart === undefined && given !== undefined
        ? fromInput(given, attributes, sources)
        : local(apart ?? "dockerfile", attributes, sources),
  }
}

function local(name: string, attributes: Attributes, sources: Sources): ContextSource {
  const other = attributes.get(`local-sessionid:${name}`)
  const session = other === undefined || other === "" ? sources.session : sources.otherSession(other)
  if (session === undefined) throw failure("invalid", "no local sources enabled")
  // Without a key of the client's, nothing is found again by the next build.
  const key = session.sharedKey === "" ? session.id : session.sharedKey
  return { type: "synced", sync: sessionFiles(session), name, key: `${key}:${name}` }
}

function fromInput(input: Input, attributes: Attributes, sources: Sources): ContextSource {
  if (input.type === "local") return local(input.name, attributes, sources)
  return input
}

function namedContexts(attributes: Attributes, sources: Sources): Map<string, ContextSource> {
  const found = new Map<string, ContextSource>()
  for (const [name, address] of prefixed(attributes, "context:"))
    found.set(name, namedContext(name, address, attributes, sources))
  return found
}

function namedContext(
  name: string,
  address: string,
  attributes: Attributes,
  sources: Sources,
): ContextSource {
  const colon = address.indexOf(":")
  const scheme = address.slice(0, colon)
  const rest = address.slice(colon + 1)
  switch (scheme) {
    case "local":
      return local(rest, attributes, sources)
    case "input": {
      const input = sources.input(rest)
      if (input === undefined) throw failure("invalid", `invalid input ${rest} for ${name}`)
      return fromInput(input, attributes, sources)
    }
    case "docker-image":
      return { type: "image", reference: rest.replace(/^\/\//, "") }
    case "oci-layout":
      return layoutContext(rest.replace(/^\/\//, ""), name, sources)
    case "git":
    case "https":
    case "http":
    case "ssh":
      return remoteContext(address)
    default:
      if (/^git@|\.git(#.*)?$|^github\.com\//.test(address)) return remoteContext(address)
      throw failure("invalid", `unsupported context source ${scheme || address} for ${name}`)
  }
}
