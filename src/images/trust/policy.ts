// The image policy: which repositories' images must be signed, and by whose keys.
import type { KeyObject } from "node:crypto"
import { readFileSync } from "node:fs"
import { dirname, resolve } from "node:path"
import { errorMessage, failure } from "../../base/errors.ts"
import { isJsonObject, parseJsonObject } from "../../base/json-bounded.ts"
import { parsePublicKey } from "../../oci/signature.ts"

/** What is asked of an image before it may become one of this engine's. */
export type Demand =
  | { readonly kind: "accept" }
  | { readonly kind: "reject" }
  | { readonly kind: "signed"; readonly keys: readonly KeyObject[]; readonly keyFiles: readonly string[] }

export interface Policy {
  /** For "docker.io/library/busybox". The longest pattern that matches decides; without one the default does. */
  demandFor(repository: string): Demand
}

export const acceptAll: Policy = { demandFor: () => ({ kind: "accept" }) }

const readKey = (path: string): KeyObject => {
  let text: string
  try {
    text = readFileSync(path, "utf8")
  } catch (cause) {
    throw failure("invalid", `the key ${path} of the image policy cannot be read: ${errorMessage(cause)}`, {
      cause,
    })
  }
  return parsePublicKey(text, `the key ${path} of the image policy`)
}

const parseDemand = (value: unknown, what: string, directory: string): Demand => {
  if (value === "accept" || value === "reject") return { kind: value }
  const keyFiles = isJsonObject(value) ? value.signedBy : undefined
  const isList =
    Array.isArray(keyFiles) && keyFiles.length > 0 && keyFiles.every((key) => typeof key === "string")
  if (!isList)
    throw failure(
      "invalid",
      `${what} of the image policy must be "accept", "reject" or {"signedBy": ["KEY.pub", …]}`,
    )
  const paths = keyFiles.map((key) => resolve(directory, key))
  return { kind: "signed", keys: paths.map(readKey), keyFiles: paths }
}

/** "registry/team/*" covers everything beneath; "*" within a name is not known. */
const parsePattern = (pattern: string): { prefix: string; beneath: boolean } => {
  const beneath = pattern.endsWith("/*")
  const prefix = beneath ? pattern.slice(0, -1) : pattern
  if (prefix.includes("*") || prefix === "" || prefix === "/")
    throw failure(
      "invalid",
      `the pattern "${pattern}" of the image policy is neither REGISTRY/REPOSITORY nor REGISTRY/PATH/*`,
    )
  return { prefix, beneath }
}

/** `{"default": DEMAND, "repositories": {"docker.io/library/*": DEMAND, …}}`. Keys are found beside the file. Throws "invalid". */
export const parsePolicy = (bytes: Uint8Array, directory: string): Policy => {
  const document = parseJsonObject(bytes, "the image policy")
  for (const key of Object.keys(document))
    if (key !== "default" && key !== "repositories")
      throw failure("invalid", `the image policy holds "${key}"; it may hold "default" and "repositories"`)
  const usual = parseDemand(document.default ?? "accept", "the default", directory)
  const { repositories = {} } = document
  if (!isJsonObject(repositories))
    throw failure("invalid", 'the "repositories" of the image policy is not an object')
  const rules = Object.entries(repositories)
    .map(([pattern, demand]) => ({
      ...parsePattern(pattern),
      demand: parseDemand(demand, `"${pattern}"`, directory),
    }))
    .toSorted((a, b) => b.prefix.length - a.prefix.length)
  return {
    demandFor: (repository) =>
      rules.find(({ prefix, beneath }) => (beneath ? repository.startsWith(prefix) : repository === prefix))
        ?.demand ?? usual,
  }
}

/** Reads a policy file. Throws "invalid", naming the file. */
export const readPolicy = (path: string): Policy => {
  let bytes: Uint8Array
  try {
    bytes = readFileSync(path)
  } catch (cause) {
    throw failure("invalid", `the image policy ${path} cannot be read: ${errorMessage(cause)}`, { cause })
  }
  return parsePolicy(bytes, dirname(path))
}
