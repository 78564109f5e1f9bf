// The registry that the daemon may serve beside its API: in the same content store, and with the engine's own images.
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { errorMessage, failure } from "../base/errors.ts"
import type { ContentStore } from "../content/content.ts"
import type { Images } from "../images/images.ts"
import type { Registry } from "../registry-server/registry-server.ts"
import type { State } from "../state/state.ts"
import type { Configuration } from "./configuration.ts"
import { type Address, addressText, listen, parseAddress } from "./listen.ts"

/** Manifests and blobs that nobody needs go so often, unless they are younger, milliseconds. */
const collectEvery = 3_600_000

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/

const readPem = (flag: string, path: string): string => {
  try {
    return readFileSync(path, "utf8")
  } catch (cause) {
    throw failure("invalid", `--${flag} ${path} cannot be read: ${errorMessage(cause)}`, { cause })
  }
}

const tlsOf = (configuration: Configuration): { certificate: string; key: string } | undefined => {
  const certificate = configuration["registry-tls-cert"]
  const key = configuration["registry-tls-key"]
  if (certificate === undefined && key === undefined) return undefined
  if (certificate === undefined || key === undefined)
    throw failure("invalid", "--registry-tls-cert and --registry-tls-key go together: give both, or neither")
  return {
    certificate: readPem("registry-tls-cert", certificate),
    key: readPem("registry-tls-key", key),
  }
}

/** Where the registry listens. Throws forbidden for an address that would let other machines replace images unasked. */
const addressOf = (configuration: Configuration): (Address & { kind: "tcp" }) | undefined => {
  const text = configuration["registry-address"]
  if (text === undefined) return undefined
  const address = parseAddress(text.includes("://") ? text : `tcp://${text}`)
  if (address.kind !== "tcp") throw failure("invalid", `--registry-address ${text}: write ADDRESS:PORT`)
  if (!LOOPBACK.test(address.host) && configuration["registry-htpasswd"] === undefined)
    throw failure(
      "forbidden",
      `everybody who reaches ${text} could replace the images served there: give --registry-htpasswd too`,
    )
  return address
}

/** Names under which clients may know the registry: what is tagged so is served. */
const domainsOf = (
  configuration: Configuration,
  { host, port }: { host: string; port: number },
): string[] => {
  const shown = host.includes(":") ? `[${host}]` : host
  return [
    ...new Set([
      ...(configuration["registry-names"] ?? []),
      `${shown}:${port}`,
      ...(LOOPBACK.test(host) ? [`localhost:${port}`] : []),
    ]),
  ]
}

export interface HostedRegistry {
  close(): Promise<void>
}

/** Serves a registry where the configuration asks for one; nothing of it is loaded otherwise. */
export const hostRegistry = async (
  configuration: Configuration,
  parts: { content: ContentStore; state: State; images: Images },
): Promise<HostedRegistry | undefined> => {
  const address = addressOf(configuration)
  if (address === undefined) return undefined
  const { openRegistry } = await import("../registry-server/registry-server.ts")
  const htpasswd = configuration["registry-htpasswd"]
  const tls = tlsOf(configuration)
  const registry: Registry = openRegistry({
    content: parts.content,
    state: parts.state,
    uploads: join(configuration.dataRoot, "content", "uploads"),
    images: parts.images.published(domainsOf(configuration, address)),
    owner: parts.images.sharing,
    readOnly: false,
    ...(htpasswd === undefined ? {} : { htpasswd }),
    ...(tls === undefined ? {} : { tls }),
  })
  const server = registry.createServer()
  try {
    await listen(server, address)
  } catch (error) {
    await registry.close()
    throw failure("unavailable", `--registry-address ${addressText(address)}: ${errorMessage(error)}`, {
      cause: error,
    })
  }
  const timer = setInterval(
    () => void registry.collect({ untagged: false, grace: collectEvery }).catch(() => undefined),
    collectEvery,
  )
  timer.unref()
  return {
    async close() {
      clearInterval(timer)
      server.close()
      server.closeAllConnections()
      await registry.close()
    },
  }
}
