// Addresses of remote sources: which are Git's, which are plain HTTP, and what the fragment of a Git address says.

export interface GitAddress {
  /** For git itself, without the fragment. */
  readonly url: string
  /** "ssh", "https", "http" or "git". */
  readonly protocol: "ssh" | "https" | "http" | "git"
  /** Branch, tag, full ref or commit; "" = the remote's HEAD. */
  readonly ref: string
  /** "" = all of it. */
  readonly subdirectory: string
  /** "github.com/x/y": could be a path as well; Git only as a build context. */
  readonly likeLocal: boolean
}

const scpStyle = /^([a-zA-Z0-9-_]+)@([a-zA-Z0-9-.]+):(.*?)(?:#(.*))?$/s
const schemed = /^([a-zA-Z0-9]+):\/\//

const fragmentOf = (fragment: string): Pick<GitAddress, "ref" | "subdirectory"> => {
  const colon = fragment.indexOf(":")
  return colon < 0
    ? { ref: fragment, subdirectory: "" }
    : { ref: fragment.slice(0, colon), subdirectory: fragment.slice(colon + 1) }
}

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const cut = (text: string): readonly [before: string, fragment: string] => {
  const at = text.indexOf("#")
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)]
}

const protocols: Readonly<Record<string, GitAddress["protocol"]>> = {
  ssh: "ssh",
  https: "https",
  http: "http",
  git: "git",
}

/** undefined for what is no Git address: an HTTP one is only when its path ends with ".git". */
export const gitAddress = (text: string): GitAddress | undefined => {
  if (text.startsWith("./") || text.startsWith("../")) return undefined
  const [address, fragment] = cut(text)
  if (text.startsWith("github.com/"))
    return { url: `https://${address}`, protocol: "https", ...fragmentOf(fragment), likeLocal: true }
  const scheme = schemed.exec(text)?.[1]?.toLowerCase()
  if (scheme !== undefined) {
    const protocol = Object.hasOwn(protocols, scheme) ? protocols[scheme] : undefined
    if (protocol === undefined || !URL.canParse(address)) return undefined
    const { pathname } = new URL(address)
    if ((protocol === "http" || protocol === "https") && !pathname.endsWith(".git")) return undefined
    return { url: address, protocol, ...fragmentOf(decoded(fragment)), likeLocal: false }
  }
  if (!scpStyle.test(text)) return undefined
  return { url: address, protocol: "ssh", ...fragmentOf(fragment), likeLocal: false }
}

/** "http://…" and "https://…" that are no Git addresses. */
export const isHttpAddress = (text: string): boolean =>
  /^https?:\/\//.test(text) && gitAddress(text) === undefined
