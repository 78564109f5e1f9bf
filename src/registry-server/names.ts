// The grammar of repository names, tags and digests, distribution specification 1.1, "Pulling manifests".
import { Refusal } from "./refusal.ts"

const component = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*"
const repository = new RegExp(`^${component}(?:/${component})*$`)

/** Longest name of a repository, so that host and name together stay a valid reference. */
const longestName = 255

/** Throws NAME_INVALID. */
export const requireRepository = (name: string): string => {
  if (name.length > longestName || !repository.test(name))
    throw new Refusal("NAME_INVALID", "invalid repository name", { detail: { name: name.slice(0, 300) } })
  return name
}

export const isTag = (text: string): boolean => /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/.test(text)

/** Whether the text is a digest by one of the specification's two registered algorithms. */
export const isRegisteredDigest = (text: string): boolean =>
  /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/.test(text)

/** Throws DIGEST_INVALID. */
export const requireDigest = (text: string): string => {
  if (!isRegisteredDigest(text))
    throw new Refusal("DIGEST_INVALID", "provided digest is neither a sha256 nor a sha512 digest", {
      detail: { digest: text.slice(0, 200) },
    })
  return text
}

/** A tag or a digest. Throws MANIFEST_INVALID for what is neither, DIGEST_INVALID for other digests. */
export const requireManifestReference = (text: string): string => {
  if (text.includes(":")) return requireDigest(text)
  if (!isTag(text))
    throw new Refusal("MANIFEST_INVALID", "a manifest is named by a tag or a digest", {
      detail: { reference: text.slice(0, 200) },
    })
  return text
}
