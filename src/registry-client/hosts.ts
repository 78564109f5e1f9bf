// Where a registry is reached: its mirrors and itself, over which protocol, trusting whom.
import { lookup } from "node:dns/promises"
import { readdirSync, readFileSync } from "node:fs"
import { BlockList, isIP } from "node:net"
import { join } from "node:path"
import { rootCertificates } from "node:tls"
import { errorMessage, failure } from "../base/errors.ts"
import { apiHostOf } from "../oci/reference.ts"
import { BrokenConnection, exchange, isCertificateTrouble, type Trust } from "./http.ts"
import { parseMirror, parseSubnet, timingOf } from "./options.ts"
import type { RegistryOptions } from "./registry-client.ts"

/** One server that may answer for a repository. */
export interface Endpoint {
  /** "registry.example:5000" */
  readonly host: string
  /** A mirror: it may be without what is asked for, and gets none of the registry's credentials. */
  readonly mirror: boolean
  /** Its scheme and host, and whom to trust there; where plain HTTP is allowed, the first call finds out. */
  reach(): Promise<{ readonly origin: string; readonly trust: Trust }>
}

export interface Hosts {
  /** In the order in which they are asked. */
  endpoints(domain: string, options: { mirrors: boolean }): Endpoint[]
  /** Whether plain HTTP and unproven certificates are accepted there. */
  isInsecure(host: string): Promise<boolean>
  trustOf(host: string): Promise<Trust>
}

/** Milliseconds for which a registry is taken to speak the protocol that it spoke. */
const originLife = 60_000

const systemBundle = "/etc/ssl/certs/ca-certificates.crt"

const nameOf = (host: string): string => host.replace(/:\d+$/, "").replace(/^\[|\]$/g, "")

/** This machine itself, by name or address. */
export const isLoopback = (host: string): boolean => {
  const name = nameOf(host).toLowerCase()
  return name === "localhost" || name === "::1" || (isIP(name) === 4 && name.startsWith("127."))
}

const bundle = (): string[] => {
  try {
    return [readFileSync(systemBundle, "utf8")]
  } catch {
    return [...rootCertificates]
  }
}

interface Certificates {
  readonly ca: string[]
  readonly cert?: string
  readonly key?: string
}

/** The files of one host in docker's layout. Throws "invalid" for a certificate without its key. */
const readCertificates = (directories: readonly string[], host: string): Certificates => {
  const ca: string[] = []
  let pair: { cert: string; key: string } | undefined
  for (const directory of directories.map((root) => join(root, host))) {
    let names: string[]
    try {
      names = readdirSync(directory)
    } catch {
      continue
    }
    const read = (name: string): string => {
      try {
        return readFileSync(join(directory, name), "utf8")
      } catch (cause) {
        throw failure("invalid", `cannot read ${join(directory, name)}: ${errorMessage(cause)}`, { cause })
      }
    }
    for (const name of names.toSorted()) {
      if (name.endsWith(".crt")) ca.push(read(name))
      if (!name.endsWith(".cert")) continue
      const keyName = `${name.slice(0, -".cert".length)}.key`
      if (!names.includes(keyName))
        throw failure(
          "invalid",
          `missing key ${keyName} for client certificate ${name} in ${directory}. CA certificates must use the extension .crt`,
        )
      pair ??= { cert: read(name), key: read(keyName) }
    }
  }
  return { ca, ...pair }
}

export const openHosts = (options: RegistryOptions): Hosts => {
  const timing = timingOf(options)
  const subnets = new BlockList()
  const names = new Set<string>()
  for (const entry of options.insecure) {
    const subnet = parseSubnet(entry)
    if (subnet === undefined) names.add(entry.toLowerCase())
    else subnets.addSubnet(subnet.address, subnet.bits, subnet.family)
  }
  const anySubnet = options.insecure.some((entry) => parseSubnet(entry) !== undefined)
  const found = new Map<string, { readonly origin: Promise<string>; readonly until: number }>()

  const isListed = async (host: string): Promise<boolean> => {
    if (names.has(host.toLowerCase()) || names.has(nameOf(host).toLowerCase())) return true
    if (!anySubnet) return false
    const addresses = await lookup(nameOf(host), { all: true }).catch(() => [])
    return addresses.some(({ address, family }) => subnets.check(address, family === 6 ? "ipv6" : "ipv4"))
  }
  const isInsecure = async (host: string): Promise<boolean> => isLoopback(host) || (await isListed(host))

  const trustOf = async (host: string): Promise<Trust> => {
    const { ca, cert, key } = readCertificates(options.certificates, host)
    const pair = cert === undefined || key === undefined ? {} : { cert, key }
    // On loopback nobody stands between; who gave an authority wants it to count even there.
    if (ca.length === 0 && (await isInsecure(host))) return { verify: false, ...pair }
    if (await isListed(host)) return { verify: false, ...pair }
    return { verify: true, ca: [...bundle(), ...ca], ...pair }
  }

  /** HTTPS where it is spoken; else plain HTTP, if that is allowed there. */
  const probe = async (host: string, trust: Trust): Promise<string> => {
    const secure = `https://${host}`
    if (!(await isInsecure(host))) return secure
    try {
      const answer = await exchange({
        method: "GET",
        url: new URL(`${secure}/v2/`),
        headers: { "User-Agent": options.agent },
        trust,
        timing,
      })
      answer.discard()
      return secure
    } catch (error) {
      if (isCertificateTrouble(error)) throw error
      // A registry that is not there yet may speak TLS when it comes.
      if (!(error instanceof BrokenConnection && error.code.startsWith("ERR_SSL"))) found.delete(host)
      return `http://${host}`
    }
  }
  const originOf = (host: string, trust: Trust): Promise<string> => {
    const known = found.get(host)
    if (known !== undefined && known.until > performance.now()) return known.origin
    const origin = Promise.resolve().then(() => probe(host, trust))
    found.set(host, { origin, until: performance.now() + originLife })
    origin.catch(() => found.delete(host))
    return origin
  }

  const endpoint = (host: string, mirror: boolean, scheme?: string): Endpoint => {
    let reached: ReturnType<Endpoint["reach"]> | undefined
    const find = async () => {
      const trust = await trustOf(host)
      return { origin: scheme === undefined ? await originOf(host, trust) : `${scheme}//${host}`, trust }
    }
    return {
      host,
      mirror,
      reach() {
        reached ??= find()
        return reached
      },
    }
  }

  return {
    isInsecure,
    trustOf,
    endpoints(domain, { mirrors }) {
      const own = endpoint(apiHostOf(domain), false)
      if (!mirrors || domain !== "docker.io") return [own]
      const first = options.mirrors.map((text) => {
        const url = parseMirror(text)
        return endpoint(url.host, true, url.protocol)
      })
      return [...first, own]
    },
  }
}
