// POST /builds between the wire and the builder: what `sloop build` asks for.
import { statSync } from "node:fs"
import { isAbsolute } from "node:path"
import { currentBoot } from "../../base/boot.ts"
import { failure } from "../../base/errors.ts"
import type {
  BuildRequest,
  CacheDirectory,
  CacheLocation,
  ContextSource,
  ExportOptions,
  ExportRequest,
} from "../../build/build.ts"
import type { WireAttributed, WireBuild, WireContext } from "../../wire/wire.ts"
import type { Exchange } from "../stream/exchange.ts"
import { platformsOf, remoteContext, tagsOf } from "./build.ts"
import { accountOf } from "./registry.ts"

/** The domain's request; what it lacks it asks of the client through the exchange. */
export function ownBuild(wire: WireBuild, exchange: Exchange): BuildRequest {
  const credentials = credentialsFrom(exchange)
  const secrets = new Set(wire.Secrets)
  const agents = new Set(wire.Ssh)
  const dockerfileContext =
    wire.DockerfileContext === undefined
      ? undefined
      : contextOf(wire.DockerfileContext, "dockerfile", exchange)
  return {
    ...(wire.Id === "" ? {} : { id: wire.Id }),
    context: contextOf(wire.Context ?? noContext(), "", exchange),
    ...(wire.Dockerfile === undefined ? {} : { dockerfile: Buffer.from(wire.Dockerfile) }),
    ...(dockerfileContext === undefined ? {} : { dockerfileContext }),
    ...(wire.DockerfilePath === "" ? {} : { dockerfilePath: wire.DockerfilePath }),
    namedContexts: new Map(
      Object.entries(wire.Contexts).map(([name, context]) => [name, contextOf(context, name, exchange)]),
    ),
    target: wire.Target,
    buildArgs: new Map(Object.entries(wire.BuildArgs)),
    labels: new Map(Object.entries(wire.Labels)),
    platforms: wire.Platforms.flatMap(platformsOf),
    noCache: wire.NoCache,
    noCacheFilter: wire.NoCacheFilter,
    pull: wire.Pull,
    extraHosts: wire.ExtraHosts,
    network: wire.Network,
    shmSize: wire.ShmSize,
    ulimits: wire.Ulimits.map(({ Name, Soft, Hard }) => ({ name: Name, soft: Soft, hard: Hard })),
    cgroupParent: wire.CgroupParent,
    memory: wire.Memory,
    memorySwap: wire.MemorySwap,
    cpuShares: wire.CpuShares,
    cpuQuota: wire.CpuQuota,
    cpuPeriod: wire.CpuPeriod,
    cpusetCpus: wire.CpusetCpus,
    cpusetMems: wire.CpusetMems,
    entitlements: wire.Entitlements,
    secrets: async (id) => (secrets.has(id) ? exchange.text("secret", id) : undefined),
    ssh: async (id) => (agents.has(id) ? exchange.connection("ssh", id) : undefined),
    credentials,
    cacheFrom: wire.CacheFrom.map((cache, index) => cacheLocation(cache, `from ${index}`, exchange)),
    face: "builder",
  }
}

/** Where its results go. */
export function ownExports(wire: WireBuild, exchange: Exchange): ExportOptions {
  return {
    exports: wire.Outputs.map((output, index) => exportOf(output, index, exchange)),
    cacheTo: wire.CacheTo.map((cache, index) => cacheLocation(cache, `to ${index}`, exchange)),
    attestations: new Map(
      Object.entries(wire.Attestations).map(([type, values]) => [type, new Map(Object.entries(values))]),
    ),
    squash: wire.Squash,
    credentials: credentialsFrom(exchange),
  }
}

const noContext = (): never => {
  throw failure("invalid", "a build needs a Context of one of the types that there are")
}

const credentialsFrom =
  (exchange: Exchange): BuildRequest["credentials"] =>
  async (domain) => {
    const bytes = await exchange.text("credentials", domain)
    return bytes === undefined ? undefined : accountOf(bytes)
  }

function contextOf(wire: WireContext, name: string, exchange: Exchange): ContextSource {
  switch (wire.Type) {
    case "directory":
      if (!isAbsolute(wire.Path))
        throw failure("invalid", `the context ${JSON.stringify(wire.Path)} must be an absolute path`)
      return isSeenHere(wire) ? { type: "directory", path: wire.Path } : sent(name, exchange)
    case "sent":
      return sent(name, exchange)
    case "remote":
      return remoteContext(wire.Url)
    case "image":
      return { type: "image", reference: wire.Reference }
    case "layout":
      return {
        type: "layout",
        digest: wire.Digest,
        read: (digest) => later(() => exchange.bytes("blob", name, digest), `the blob ${digest} of ${name}`),
      }
    case "empty":
      return { type: "empty" }
    case "":
      return noContext()
  }
}

const sent = (name: string, exchange: Exchange): ContextSource => ({
  type: "tar",
  bytes: later(() => exchange.bytes("context", name), `the context ${name}`),
})

/** Asks only when the first byte is wanted. */
async function* later(
  ask: () => Promise<AsyncIterable<Uint8Array> | undefined>,
  what: string,
): AsyncGenerator<Uint8Array> {
  const bytes = await ask()
  if (bytes === undefined) throw failure("not-found", `the client does not have ${what}`)
  yield* bytes
}

/**
 * Whether the directory that the client names is the one of this name here: the same kernel, device and inode. A client in
 * a container, or behind a forwarded socket, sees another.
 */
function isSeenHere({ Path, Device, Inode, Boot }: WireContext): boolean {
  try {
    const found = statSync(Path, { bigint: true })
    return (
      found.isDirectory() &&
      Boot === currentBoot() &&
      Device === String(found.dev) &&
      Inode === String(found.ino)
    )
  } catch {
    return false
  }
}

const cacheLocation = (
  { Type, Attributes }: WireAttributed,
  id: string,
  exchange: Exchange,
): CacheLocation => ({
  type: Type,
  attributes: new Map(Object.entries(Attributes)),
  ...(Type === "local" ? { directory: cacheDirectory(id, exchange) } : {}),
})

/** The client's directory, blob by blob. */
const cacheDirectory = (id: string, exchange: Exchange): CacheDirectory => ({
  has: async (digest) => (await exchange.text("cache-has", id, digest)) !== undefined,
  read: (digest) => later(() => exchange.bytes("cache-read", id, digest), `the blob ${digest} of its cache`),
  write: ({ digest }, bytes) => exchange.give("cache-write", id, bytes, digest),
})

/** Archives and trees travel to the client, who writes them as himself. */
function exportOf({ Type, Attributes }: WireAttributed, index: number, exchange: Exchange): ExportRequest {
  const { name, ...rest } = Attributes
  const tags = name === undefined || name === "" ? [] : tagsOf(name.split(","))
  const attributes = new Map(Object.entries(rest))
  if (tags.length > 0) attributes.set("name", tags.join(","))
  const id = String(index)
  return {
    type: Type,
    attributes,
    ...(["oci", "docker", "tar"].includes(Type)
      ? { write: (bytes: AsyncIterable<Uint8Array>) => exchange.give("output", id, bytes) }
      : {}),
    ...(Type === "local" || rest.tar === "false"
      ? { writeTree: (tar: AsyncIterable<Uint8Array>) => exchange.give("tree", id, tar) }
      : {}),
  }
}
