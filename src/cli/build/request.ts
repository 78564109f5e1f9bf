// A build as the flags ask for it: the request, and what stands behind what the engine may ask for meanwhile.
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { failure } from "../../base/errors.ts"
import type { WireBuildInput } from "../../wire/wire.ts"
import { readBytes, readPairs } from "../container/values.ts"
import { configDirectoryOf } from "../contexts/choose.ts"
import type { Parsed } from "../flags.ts"
import type { Context } from "../verb.ts"
import { annotationAttributes, type Output, readAttestations, readCache, readOutput } from "./attributes.ts"
import { type MainSources, mainSources, namedSource, type Provided } from "./contexts.ts"
import { type Agents, readAgents, readSecrets, type Secrets } from "./secrets.ts"

export interface PreparedBuild {
  readonly request: WireBuildInput
  /** By the context's name: "" is the main one, "dockerfile" the Dockerfile's. */
  readonly provided: ReadonlyMap<string, Provided>
  readonly secrets: Secrets
  readonly agents: Agents
  readonly outputs: readonly Output[]
  readonly directory?: string
  /** "check,format=json" asks for JSON. */
  readonly call: string
  readonly callFormat: string
}

/** Reads files that the flags name, and standard input when it is the context or the Dockerfile. Throws in docker's words. */
export async function prepareBuild(context: Context, parsed: Parsed): Promise<PreparedBuild> {
  const [argument = "."] = parsed.arguments
  refuse(parsed)
  const outputs = outputsOf(parsed)
  const secrets = readSecrets(parsed.list("secret"), context.env)
  const agents = readAgents(parsed.list("ssh"), context.env)
  const named = parsed.list("build-context").map(namedSource)
  const main = await mainSources(argument, parsed.string("file"))
  const { call, format } = callOf(parsed)
  return {
    request: {
      ...mainFields(main),
      Contexts: Object.fromEntries(named.map(([name, { wire }]) => [name, wire])),
      Target: parsed.string("target"),
      BuildArgs: buildArguments(parsed.list("build-arg"), context),
      Labels: readPairs(parsed.list("label")),
      Platforms: parsed.list("platform").flatMap((line) => line.split(",")),
      NoCache: parsed.bool("no-cache"),
      NoCacheFilter: parsed.list("no-cache-filter").flatMap((line) => line.split(",")),
      Pull: parsed.bool("pull"),
      ExtraHosts: [...parsed.list("add-host")],
      Network: parsed.string("network"),
      ...limits(parsed),
      Entitlements: entitlements(parsed),
      Secrets: [...secrets.keys()],
      Ssh: [...agents.keys()],
      CacheFrom: parsed.list("cache-from").map((line) => readCache(line, "cache-from")),
      CacheTo: parsed.list("cache-to").map((line) => readCache(line, "cache-to")),
      Outputs: outputs.map(({ Type, Attributes }) => ({ Type, Attributes })),
      Attestations: readAttestations(parsed.list("attest"), {
        provenance: parsed.string("provenance"),
        sbom: parsed.string("sbom"),
      }),
      Squash: parsed.bool("squash"),
      Call: call,
    },
    provided: new Map(
      [
        ["", main.context] as const,
        ...(main.dockerfileContext === undefined ? [] : [["dockerfile", main.dockerfileContext] as const]),
        ...named,
      ].flatMap(([name, { provided }]) => (provided === undefined ? [] : [[name, provided] as const])),
    ),
    secrets,
    agents,
    outputs,
    call,
    callFormat: format,
    ...(main.directory === undefined ? {} : { directory: main.directory }),
  }
}

const mainFields = (
  main: MainSources,
): Pick<WireBuildInput, "Context" | "Dockerfile" | "DockerfilePath" | "DockerfileContext"> => ({
  Context: main.context.wire,
  Dockerfile: main.dockerfile,
  DockerfilePath: main.dockerfilePath,
  DockerfileContext: main.dockerfileContext?.wire,
})

function refuse(parsed: Parsed): void {
  const isolation = parsed.string("isolation")
  if (isolation !== undefined && isolation !== "" && isolation !== "default")
    throw failure("invalid", `unsupported isolation: "${isolation}"`)
  if (parsed.list("security-opt").length > 0)
    throw failure("invalid", "security options have no meaning here: use RUN --security with --allow")
  if (parsed.bool("push") && parsed.bool("load"))
    throw failure("invalid", "push and load may not be set together at the moment")
  if (
    parsed.bool("push") &&
    parsed.list("output").length > 0 &&
    !parsed.list("output").some((line) => /type=(image|registry)/.test(line))
  )
    throw failure("invalid", "push is for images: leave --output out, or push the image later")
}

function callOf(parsed: Parsed): { call: string; format: string } {
  const [name = "build", ...rest] = (
    parsed.bool("check") ? "check" : (parsed.string("call") ?? "build")
  ).split(",")
  const format = rest.map((field) => /^format=(.*)$/.exec(field)?.[1]).find(Boolean) ?? "text"
  const call = { lint: "check", subrequests: "", "": "build" }[name] ?? name
  if (!["build", "check", "outline", "targets"].includes(call))
    throw failure("invalid", `invalid call "${name}": use check, outline or targets`)
  return { call: call === "build" ? "" : call, format }
}

/** The image under its names, unless outputs are asked for; names go to each output of an image that has none. */
function outputsOf(parsed: Parsed): Output[] {
  const name = parsed.list("tag").join(",")
  const annotations = annotationAttributes(parsed.list("annotation"))
  const asked = parsed.list("output").map(readOutput)
  const outputs: Output[] =
    parsed.bool("push") && asked.length === 0
      ? [{ Type: "registry", Attributes: {}, tree: false }]
      : asked.length === 0 || parsed.bool("load")
        ? [...asked, { Type: "image", Attributes: {}, tree: false }]
        : asked
  if (
    outputs.some(({ Type }) => Type === "registry") &&
    name === "" &&
    !outputs.some(({ Attributes }) => Attributes.name)
  )
    throw failure("invalid", "tag is needed when pushing to registry")
  return outputs.map((output) => {
    if (["local", "tar", "cacheonly"].includes(output.Type)) return output
    const Attributes = {
      ...(name === "" ? {} : { name }),
      ...annotations,
      ...output.Attributes,
      ...(parsed.bool("push") && output.Type === "image" ? { push: "true" } : {}),
    }
    return { ...output, Attributes }
  })
}

/** KEY alone takes the value of our own environment; proxies come from docker's config.json, the date from the environment. */
function buildArguments(lines: readonly string[], { env }: Context): Record<string, string> {
  const found: Record<string, string> = {}
  const given = new Set<string>()
  for (const line of lines) {
    const equals = line.indexOf("=")
    const key = equals < 0 ? line : line.slice(0, equals)
    if (key === "") throw failure("invalid", `invalid build argument "${line}": write it as KEY=VALUE`)
    given.add(key)
    const value = equals < 0 ? env[key] : line.slice(equals + 1)
    if (value !== undefined) found[key] = value
  }
  if (!given.has("SOURCE_DATE_EPOCH") && env.SOURCE_DATE_EPOCH)
    found.SOURCE_DATE_EPOCH = env.SOURCE_DATE_EPOCH
  for (const [key, value] of Object.entries(proxies(env))) if (!given.has(key)) found[key] = value
  return found
}

const proxyNames = {
  httpProxy: "HTTP_PROXY",
  httpsProxy: "HTTPS_PROXY",
  noProxy: "NO_PROXY",
  ftpProxy: "FTP_PROXY",
  allProxy: "ALL_PROXY",
} as const

/** `proxies.default` of config.json, in both cases of letters, as docker hands them to builds. */
function proxies(env: Context["env"]): Record<string, string> {
  const path = join(configDirectoryOf(env), "config.json")
  if (!existsSync(path)) return {}
  let configured: Readonly<Record<string, unknown>> | undefined
  try {
    const config = JSON.parse(readFileSync(path, "utf8")) as {
      proxies?: { default?: Record<string, unknown> }
    }
    configured = config.proxies?.default
  } catch {
    return {} // whoever needs an account from it says what is wrong
  }
  const found: Record<string, string> = {}
  for (const [key, name] of Object.entries(proxyNames)) {
    const value = configured?.[key]
    if (typeof value !== "string" || value === "") continue
    found[name] = value
    found[name.toLowerCase()] = value
  }
  return found
}

const bytes = (parsed: Parsed, name: string): number => readBytes(parsed.string(name) ?? "0")

function limits(parsed: Parsed): Partial<WireBuildInput> {
  return {
    ShmSize: bytes(parsed, "shm-size"),
    Ulimits: parsed.list("ulimit").map((line) => {
      const [name = "", values = ""] = line.split("=")
      const [soft = "", hard = soft] = values.split(":")
      return { Name: name, Soft: Number(soft), Hard: Number(hard) }
    }),
    CgroupParent: parsed.string("cgroup-parent"),
    Memory: bytes(parsed, "memory"),
    MemorySwap: bytes(parsed, "memory-swap"),
    CpuShares: parsed.int("cpu-shares"),
    CpuQuota: parsed.int("cpu-quota"),
    CpuPeriod: parsed.int("cpu-period"),
    CpusetCpus: parsed.string("cpuset-cpus"),
    CpusetMems: parsed.string("cpuset-mems"),
  }
}

/** --network=host is an entitlement by itself, as it is for docker's own driver. */
function entitlements(parsed: Parsed): string[] {
  const asked = parsed.list("allow").flatMap((line) => line.split(","))
  return parsed.string("network") === "host" ? [...new Set([...asked, "network.host"])] : asked
}
