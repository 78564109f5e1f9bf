// What may stand in a Git address, and which commit a ref of a remote repository means.
import { failure } from "../../base/errors.ts"

/** A whole commit id, of SHA-1 or SHA-256. */
export const isCommit = (ref: string): boolean => /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(ref)

const control = /[\p{Cc}\p{Zl}\p{Zp}]/u

/** Refuses what git could take for an option, a transport helper or a pattern. Throws invalid. */
export const checkRepository = (url: string): void => {
  const refuse = (why: string) => failure("invalid", `invalid Git address ${JSON.stringify(url)}: ${why}`)
  if (url.startsWith("-")) throw refuse("it begins with a dash")
  if (control.test(url) || /\s/.test(url)) throw refuse("it holds blanks or control characters")
  if (url.includes("::")) {
    // "ext::command" names a helper program; an IPv6 host is in brackets.
    if (!/^[a-z]+:\/\/(?:[^/@]*@)?\[[0-9a-fA-F:.]+\]/.test(url)) throw refuse("it names a transport helper")
  }
  const host = /^[a-z]+:\/\/([^/]*)/i.exec(url)?.[1] ?? url.split(":")[0] ?? ""
  const bare = host.slice(host.lastIndexOf("@") + 1)
  if (bare === "" || bare.startsWith("-") || host.startsWith("-")) throw refuse("it has no valid host")
}

/** A branch, tag, ref or commit. Throws invalid for what git forbids in names of refs. */
export const checkRef = (ref: string): void => {
  const isWrong =
    ref.startsWith("-") ||
    ref.startsWith("/") ||
    ref.endsWith("/") ||
    ref.endsWith(".") ||
    ref.endsWith(".lock") ||
    ref.includes("..") ||
    ref.includes("@{") ||
    ref.includes("//") ||
    control.test(ref) ||
    /[\s~^:?*[\\]/.test(ref)
  if (isWrong) throw failure("invalid", `invalid Git ref ${JSON.stringify(ref)}`)
}

/** A path beneath the repository, without leading slashes; "" = all of it. Throws invalid for one that leads out. */
export const checkSubdirectory = (path: string): string => {
  if (control.test(path)) throw failure("invalid", `invalid subdirectory ${JSON.stringify(path)}`)
  const parts = path.split("/").filter((part) => part !== "" && part !== ".")
  if (parts.includes("..") || parts[0] === ".git")
    throw failure("invalid", `invalid subdirectory ${JSON.stringify(path)}: it leads out of the repository`)
  return parts.join("/")
}

export interface FoundRef {
  readonly commit: string
  /** Full name: "refs/heads/main"; "" for a commit. */
  readonly ref: string
}

const without = (ref: string, prefix: string): string =>
  ref.startsWith(prefix) ? ref.slice(prefix.length) : ref

/** Of the lines of `ls-remote`: the full name first, then branches, then tags (what an annotated one points to). */
export const chooseRef = (ref: string, listing: string): FoundRef | undefined => {
  const found = new Map(
    listing.split("\n").map((line) => {
      const [commit = "", name = ""] = line.split("\t")
      return [name, commit] as const
    }),
  )
  const full = `refs/${without(ref, "refs/")}`
  const head = `refs/heads/${without(ref, "refs/heads/")}`
  const tag = `refs/tags/${without(ref, "refs/tags/")}`
  const isTag = full.startsWith("refs/tags/")
  const candidates: readonly (readonly [name: string, line: string])[] = [
    ...(isTag ? [[full, `${full}^{}`] as const] : []),
    [full, full],
    [head, head],
    [tag, `${tag}^{}`],
    [tag, tag],
  ]
  for (const [name, line] of candidates) {
    const commit = found.get(line)
    if (commit !== undefined && isCommit(commit)) return { commit, ref: name }
  }
  return undefined
}

/** The branch that HEAD stands for, of `ls-remote --symref <url> HEAD`. */
export const defaultBranch = (listing: string): FoundRef | undefined => {
  const ref = /^ref: (refs\/heads\/\S+)\tHEAD$/m.exec(listing)?.[1] ?? "HEAD"
  const commit = /^([0-9a-f]{40,64})\tHEAD$/m.exec(listing)?.[1]
  return commit === undefined ? undefined : { commit, ref }
}
