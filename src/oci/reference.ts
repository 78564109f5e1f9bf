// Image references as Docker reads and writes them: "busybox" is docker.io/library/busybox:latest.
import { failure } from "../base/errors.ts"

/** A normalised reference: at least a name, perhaps a tag and a digest. */
export interface Reference {
  /** "docker.io", "registry.example:5000" */
  readonly domain: string
  /** "library/busybox" */
  readonly path: string
  readonly tag?: string
  readonly digest?: string
}

const alphanumeric = "[a-z0-9]+"
const pathComponent = `${alphanumeric}(?:(?:[._]|__|[-]+)${alphanumeric})*`
const domainComponent = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
const domainPattern = `(?:${domainComponent}(?:\\.${domainComponent})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`
const whole = new RegExp(
  `^(?:(${domainPattern})/)?(${pathComponent}(?:/${pathComponent})*)(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@([A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?$`,
)

const invalid = (detail = "") => failure("invalid", `invalid reference format${detail}`)

/** "docker.io" and "library/" are left out by people. */
const splitDomain = (name: string): [domain: string, rest: string] => {
  const slash = name.indexOf("/")
  const first = name.slice(0, Math.max(slash, 0))
  const isDomain = slash > 0 && (/[.:]/.test(first) || first === "localhost" || first.toLowerCase() !== first)
  const domain = isDomain ? first : "docker.io"
  const rest = isDomain ? name.slice(slash + 1) : name
  const canonical = domain === "index.docker.io" ? "docker.io" : domain
  return [canonical, canonical === "docker.io" && !rest.includes("/") ? `library/${rest}` : rest]
}

/**
 * Reads a name with optional tag and digest; adds no tag. Throws Failure "invalid" with Docker's words: "invalid
 * reference format", "… repository name (x) must be lowercase".
 */
export const parseReference = (text: string): Reference => {
  if (/^[0-9a-f]{64}$/.test(text))
    throw failure("invalid", `invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`)
  if (text.length > 1024) throw invalid()
  const [domain, rest] = splitDomain(text)
  const nameEnd = rest.search(/[:@]/)
  const name = nameEnd < 0 ? rest : rest.slice(0, nameEnd)
  if (name.toLowerCase() !== name) throw invalid(`: repository name (${name}) must be lowercase`)
  const match = whole.exec(`${domain}/${rest}`)
  if (match === null || match[1] !== domain) throw invalid()
  const [, , path = "", tag, digest] = match
  if (`${domain}/${path}`.length > 255)
    throw failure("invalid", "repository name must not be more than 255 characters")
  if (
    digest !== undefined &&
    !/^(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$/.test(digest)
  )
    throw failure("invalid", `invalid reference format: unsupported or malformed digest "${digest}"`)
  return { domain, path, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) }
}

/** The host that serves the API of a domain: docker.io is only a name. */
export const apiHostOf = (domain: string): string =>
  domain === "docker.io" ? "registry-1.docker.io" : domain

/** The host that searches a domain's repositories. */
export const searchHostOf = (domain: string): string => (domain === "docker.io" ? "index.docker.io" : domain)

/** The key under which clients keep a domain's credentials. */
export const credentialsKeyOf = (domain: string): string =>
  domain === "docker.io" ? "https://index.docker.io/v1/" : domain

/** Adds ":latest" when there is neither tag nor digest. */
export const withDefaultTag = (reference: Reference): Reference =>
  reference.tag === undefined && reference.digest === undefined ? { ...reference, tag: "latest" } : reference

/** "docker.io/library/busybox" */
export const repositoryOf = (reference: Reference): string => `${reference.domain}/${reference.path}`

/** "docker.io/library/busybox:latest" */
export const formatReference = (reference: Reference): string =>
  repositoryOf(reference) +
  (reference.tag === undefined ? "" : `:${reference.tag}`) +
  (reference.digest === undefined ? "" : `@${reference.digest}`)

/** "busybox" for docker.io/library/busybox. */
export const familiarName = (reference: Reference): string => {
  if (reference.domain !== "docker.io") return repositoryOf(reference)
  const official = /^library\/([^/]+)$/.exec(reference.path)?.[1]
  return official ?? reference.path
}

/** "busybox:latest" for docker.io/library/busybox:latest. */
export const familiarReference = (reference: Reference): string =>
  familiarName(reference) +
  (reference.tag === undefined ? "" : `:${reference.tag}`) +
  (reference.digest === undefined ? "" : `@${reference.digest}`)
