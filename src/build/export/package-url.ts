// Package URLs of images, as attestations name them: "pkg:docker/alpine@3.20?platform=linux%2Famd64".
import { familiarName, parseReference, withDefaultTag } from "../../oci/reference.ts"

/** Of a reference with tag or digest and a platform ("linux/amd64"). */
export const packageUrl = (reference: string, platform: string): string => {
  const parsed = withDefaultTag(parseReference(reference))
  const name = familiarName(parsed).split("/").map(encodeURIComponent).join("/")
  const version = parsed.tag ?? ""
  const digest = parsed.digest === undefined ? "" : `digest=${encodeURIComponent(parsed.digest)}&`
  const tag = version === "" ? "" : `@${encodeURIComponent(version)}`
  return `pkg:docker/${name}${tag}?${digest}platform=${encodeURIComponent(platform)}`
}
