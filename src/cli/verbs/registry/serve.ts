// sloop registry serve: a registry of its own, until a signal ends it.
import { readFileSync } from "node:fs"
import { parseDuration } from "../../../base/duration.ts"
import { errorMessage, failure } from "../../../base/errors.ts"
import { VERSION } from "../../../base/version.ts"
import { openRegistries } from "../../../registry-client/registry-client.ts"
import { serveRegistry, type Upstream } from "../../../registry-server/registry-server.ts"
import type { Flag, Parsed } from "../../flags.ts"
import type { Verb } from "../../verb.ts"

/** Where registries keep their blobs unless told otherwise. */
export const defaultRegistryRoot = "/var/lib/sloop-registry"

export const dataRootFlag: Flag = {
  name: "data-root",
  kind: "string",
  value: "path",
  default: defaultRegistryRoot,
  summary: "Directory that holds the registry",
}

const readAddress = (text: string): { host: string; port: number } => {
  const [, host = "", port = ""] = /^(\[[0-9a-fA-F:]+\]|[^:]*):(\d{1,5})$/.exec(text) ?? []
  if (port === "" || Number(port) > 65535)
    throw failure("invalid", `--address ${text}: write it as ADDRESS:PORT, such as 127.0.0.1:5000`)
  return { host: host === "" ? "127.0.0.1" : host.replace(/^\[|\]$/g, ""), port: Number(port) }
}

const readFile = (flag: string, path: string): string => {
  try {
    return readFileSync(path, "utf8")
  } catch (cause) {
    throw failure("invalid", `--${flag} ${path} cannot be read: ${errorMessage(cause)}`, { cause })
  }
}

const readTls = (parsed: Parsed): { certificate: string; key: string } | undefined => {
  const certificate = parsed.string("tls-cert")
  const key = parsed.string("tls-key")
  if (certificate === undefined && key === undefined) return undefined
  if (certificate === undefined || key === undefined)
    throw failure("invalid", "--tls-cert and --tls-key go together: give both, or neither")
  return { certificate: readFile("tls-cert", certificate), key: readFile("tls-key", key) }
}

/** A cache gives up on its upstream soon, because what it has is better than waiting. */
const readUpstream = (parsed: Parsed): Upstream | undefined => {
  const domain = parsed.string("upstream")
  if (domain === undefined) return undefined
  const registries = openRegistries({
    mirrors: [],
    insecure: [],
    certificates: ["/etc/docker/certs.d", "/etc/sloop/certs.d"],
    agent: `sloop/${VERSION}`,
    timing: { answer: 10_000, attempts: 2, firstPause: 200 },
  })
  return {
    freshFor: parseDuration(parsed.string("upstream-fresh") ?? "1m"),
    repository: (path) => registries.repository({ domain, path }, { actions: "pull" }),
  }
}

const isLoopback = (host: string): boolean => /^(127\.\d+\.\d+\.\d+|::1|localhost)$/.test(host)

const ended = (): Promise<void> =>
  new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve())
  })

export const verb: Verb = {
  usage: "[OPTIONS]",
  summary: "Serve a registry from a directory of this machine",
  flags: [
    {
      name: "address",
      short: "a",
      kind: "string",
      value: "address:port",
      default: "127.0.0.1:5000",
      summary: "Address to listen on",
    },
    dataRootFlag,
    {
      name: "upstream",
      kind: "string",
      value: "registry",
      summary: "Be a cache of this registry (docker.io, HOST:PORT); nothing can be pushed then",
    },
    {
      name: "upstream-fresh",
      kind: "string",
      value: "duration",
      default: "1m",
      summary: "Believe a cached tag for so long",
    },
    {
      name: "htpasswd",
      kind: "string",
      value: "path",
      summary: "Password file with bcrypt hashes (htpasswd -B)",
    },
    { name: "tls-cert", kind: "string", value: "path", summary: "PEM file with the certificate chain" },
    { name: "tls-key", kind: "string", value: "path", summary: "PEM file with the certificate's key" },
    { name: "read-only", kind: "bool", summary: "Refuse every change" },
    { name: "allow-open", kind: "bool", summary: "Serve other machines without passwords" },
    {
      name: "collect-every",
      kind: "string",
      value: "duration",
      default: "1h",
      summary: "Remove blobs that no manifest needs so often; 0 = only when asked",
    },
    { name: "collect-untagged", kind: "bool", summary: "Remove manifests that no tag leads to, too" },
    {
      name: "collect-grace",
      kind: "string",
      value: "duration",
      default: "1h",
      summary: "Keep what is younger than this",
    },
  ],
  interspersed: true,
  least: 0,
  most: 0,
  async run(context, parsed) {
    const { host, port } = readAddress(parsed.string("address") ?? "")
    const htpasswd = parsed.string("htpasswd")
    const tls = readTls(parsed)
    const upstream = readUpstream(parsed)
    if (
      !isLoopback(host) &&
      htpasswd === undefined &&
      !parsed.bool("read-only") &&
      !parsed.bool("allow-open")
    )
      throw failure(
        "forbidden",
        `everybody who reaches ${host}:${port} could replace your images: give --htpasswd or --read-only, or insist with --allow-open`,
      )
    const registry = await serveRegistry({
      dataRoot: parsed.string("data-root") ?? defaultRegistryRoot,
      host,
      port,
      readOnly: parsed.bool("read-only"),
      ...(htpasswd === undefined ? {} : { htpasswd }),
      ...(tls === undefined ? {} : { tls }),
      ...(upstream === undefined ? {} : { upstream }),
      collectEvery: parseDuration(parsed.string("collect-every") ?? "1h"),
      collect: {
        untagged: parsed.bool("collect-untagged"),
        grace: parseDuration(parsed.string("collect-grace") ?? "1h"),
      },
    })
    const shown = host.includes(":") ? `[${host}]` : host
    context.print(`registry ready at ${tls === undefined ? "http" : "https"}://${shown}:${registry.port}`)
    await ended()
    await registry.close()
    return 0
  },
}
