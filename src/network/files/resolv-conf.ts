// The text of a container's /etc/resolv.conf, from the host's and what was asked for.
import { readFileSync } from "node:fs"
import { isIP } from "node:net"
import { failure } from "../../base/errors.ts"

/** What Docker gives when the host has no server that a container can reach. */
export const PUBLIC_SERVERS = ["8.8.8.8", "8.8.4.4"]
const HOST_FILE = "/etc/resolv.conf"
/** Where systemd-resolved lists the real servers while /etc/resolv.conf names only its own on 127.0.0.53. */
const RESOLVED_FILE = "/run/systemd/resolve/resolv.conf"

export interface ResolverSettings {
  readonly servers: readonly string[]
  readonly search: readonly string[]
  readonly options: readonly string[]
  /** The host's file that it comes from. */
  readonly source?: string
}

/** Reads the format of resolv.conf(5); the last `search` or `domain` counts, options add up. */
export const parseResolvConf = (text: string): ResolverSettings => {
  const servers: string[] = []
  const options: string[] = []
  let search: string[] = []
  for (const line of text.split("\n")) {
    const [keyword, ...words] = line
      .replace(/[#;].*$/, "")
      .trim()
      .split(/\s+/)
    if (keyword === "nameserver" && words[0]) servers.push(words[0])
    else if (keyword === "search" || keyword === "domain") search = words
    else if (keyword === "options") options.push(...words)
  }
  return { servers, search, options }
}

const isLoopback = (server: string): boolean => server.startsWith("127.") || server === "::1"
/** Containers on a network without IPv6 cannot reach IPv6 servers. */
const isReachable = (server: string): boolean => !isLoopback(server) && isIP(server) === 4

/** Throws Failure "invalid" for what would not be one word of the file. */
export const checkSettings = (asked: ResolverSettings): void => {
  for (const server of asked.servers)
    if (isIP(server) === 0) throw failure("invalid", `${server} is not an IP address`)
  for (const word of [...asked.search, ...asked.options])
    if (!/^[\x21-\x7e]+$/.test(word))
      throw failure("invalid", `${JSON.stringify(word)} is not a DNS search domain or option`)
}

/** The whole file: each list that was asked for replaces the host's. "." as search domain means none. */
export const resolvConfText = (host: ResolverSettings, asked: ResolverSettings): string => {
  checkSettings(asked)
  const reachable = host.servers.filter(isReachable)
  const servers = asked.servers.length > 0 ? asked.servers : reachable.length > 0 ? reachable : PUBLIC_SERVERS
  const search = (asked.search.length > 0 ? asked.search : host.search).filter((domain) => domain !== ".")
  const options = asked.options.length > 0 ? asked.options : host.options
  return [
    ...(search.length > 0 ? [`search ${search.join(" ")}\n`] : []),
    ...servers.map((server) => `nameserver ${server}\n`),
    ...(options.length > 0 ? [`options ${options.join(" ")}\n`] : []),
  ].join("")
}

const read = (path: string): ResolverSettings => {
  try {
    return { ...parseResolvConf(readFileSync(path, "utf8")), source: path }
  } catch {
    return { servers: [], search: [], options: [], source: path }
  }
}

/** The servers that a resolver on this host's loopback asks in its turn, where systemd-resolved lists them. */
export const withResolved = (own: ResolverSettings, resolved: () => ResolverSettings): ResolverSettings => {
  if (own.servers.length === 0 || !own.servers.every(isLoopback)) return own
  const listed = resolved()
  return listed.servers.length > 0 ? { ...listed, search: own.search } : own
}

/** How long what was read is good for, milliseconds. */
const FRESH = 1000

/** The host's settings, read once a second at most. */
export const hostResolver = (): (() => ResolverSettings) => {
  let known: { settings: ResolverSettings; read: number } | undefined
  return () => {
    const now = Date.now()
    if (known && now - known.read < FRESH) return known.settings
    const settings = withResolved(read(HOST_FILE), () => read(RESOLVED_FILE))
    known = { settings, read: now }
    return settings
  }
}
