// Which endpoint a path means. Repository names hold slashes, so a path is read from its end.
import { Refusal } from "./refusal.ts"

export type Target =
  | { readonly kind: "base" }
  | { readonly kind: "catalog" }
  | { readonly kind: "tags"; readonly repository: string }
  | { readonly kind: "blob"; readonly repository: string; readonly digest: string }
  | { readonly kind: "uploads"; readonly repository: string }
  | { readonly kind: "upload"; readonly repository: string; readonly id: string }
  | { readonly kind: "manifest"; readonly repository: string; readonly reference: string }
  | { readonly kind: "referrers"; readonly repository: string; readonly digest: string }

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new Refusal("NAME_INVALID", "the path is not valid percent-encoding")
  }
}

/** The endpoint of a path beneath /v2/; undefined when there is none. */
export const readTarget = (path: string): Target | undefined => {
  if (path === "/v2" || path === "/v2/") return { kind: "base" }
  if (!path.startsWith("/v2/")) return undefined
  const rest = path.slice("/v2/".length)
  if (rest === "_catalog") return { kind: "catalog" }
  const parts = rest.split("/").map(decoded)
  if (parts.some((part) => part.includes("/"))) return undefined
  const named = (from: number): string => parts.slice(0, from).join("/")
  const length = parts.length
  const [third, second, last] = [parts[length - 3], parts[length - 2], parts[length - 1] ?? ""]
  if (third === "blobs" && second === "uploads" && length > 3)
    return last === ""
      ? { kind: "uploads", repository: named(length - 3) }
      : { kind: "upload", repository: named(length - 3), id: last }
  if (length < 3) return undefined
  const repository = named(length - 2)
  if (second === "blobs" && last === "uploads") return { kind: "uploads", repository }
  if (second === "blobs") return { kind: "blob", repository, digest: last }
  if (second === "manifests") return { kind: "manifest", repository, reference: last }
  if (second === "referrers") return { kind: "referrers", repository, digest: last }
  if (second === "tags" && last === "list") return { kind: "tags", repository }
  return undefined
}
