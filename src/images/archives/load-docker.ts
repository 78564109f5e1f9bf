// docker-archive: manifest.json lists images by the paths of their config and layers (docker save, skopeo, buildx, jib …).

import { digestOf } from "../../base/digest-stream.ts"
import { failure } from "../../base/errors.ts"
import { isJsonObject, parseJson } from "../../base/json-bounded.ts"
import { isDigest } from "../../oci/digest.ts"
import { parseReference, type Reference, withDefaultTag } from "../../oci/reference.ts"
import { checkedConfig, type ImageSource } from "../prepare.ts"
import type { Archive } from "./archive.ts"
import { ociManifests } from "./load-oci.ts"

const mostImages = 1024

interface ListedImage {
  readonly config: string
  readonly layers: readonly string[]
  readonly names: readonly Reference[]
  readonly parent: string
}

const strings = (value: unknown, what: string): string[] => {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value) || !value.every((entry) => typeof entry === "string"))
    throw failure("invalid", `manifest.json: ${what} is not a list of strings`)
  return value
}

/** A name under which an image is stored: with a tag, without a digest. */
const storableName = (text: string): Reference => {
  const { digest, ...name } = parseReference(text)
  return digest === undefined ? withDefaultTag(name) : { ...name, digest }
}

const parseList = (bytes: Uint8Array): ListedImage[] => {
  const list = parseJson(bytes, "manifest.json")
  if (!Array.isArray(list)) throw failure("invalid", "manifest.json is not a list of images")
  if (list.length > mostImages) throw failure("invalid", `manifest.json lists more than ${mostImages} images`)
  return list.map((entry) => {
    if (!isJsonObject(entry)) throw failure("invalid", "manifest.json lists something that is not an object")
    const { Config: config, RepoTags: tags, Layers: layers, Parent: parent } = entry
    if (typeof config !== "string" || config === "")
      throw failure("invalid", "manifest.json lists an image without a config")
    return {
      config,
      layers: strings(layers, "Layers"),
      names: strings(tags, "RepoTags").map(storableName),
      parent: typeof parent === "string" && isDigest(parent) ? parent : "",
    }
  })
}

/**
 * Verifies all documents of the archive before any layer is stored. A manifest beside it in an OCI layout (docker 25 and
 * later write both) is kept, so that the image's digest survives.
 */
export const readDockerArchive = async (archive: Archive): Promise<ImageSource[]> => {
  const listed = parseList(await archive.read("manifest.json", "the archive"))
  const manifests = archive.has("index.json") ? await ociManifests(archive) : []
  const sources: ImageSource[] = []
  for (const image of listed) {
    const what = `the image config ${image.config}`
    const bytes = await archive.read(image.config, "manifest.json")
    const config = digestOf(bytes)
    const named = /([0-9a-f]{64})(\.json)?$/.exec(image.config)?.[1]
    if (named !== undefined && `sha256:${named}` !== config)
      throw failure("invalid", `${what} has the digest ${config}, not the one that it is named by`)
    checkedConfig(bytes, image.layers.length, what)
  }
  for (const image of listed) {
    const { digest: config } = await archive.store(image.config, "manifest.json")
    const layers: string[] = []
    for (const path of image.layers) {
      const { digest } = await archive.store(path, "manifest.json")
      const named = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(path)?.[1]
      if (named !== undefined && `sha256:${named}` !== digest)
        throw failure("invalid", `"${path}" has the digest ${digest}, not the one that it is named by`)
      layers.push(digest)
    }
    const manifest = manifests.find(
      ({ manifest: { config: wanted, layers: offered } }) =>
        wanted.digest === config &&
        offered.length === layers.length &&
        offered.every((layer, at) => layer.digest === layers[at]),
    )
    if (manifest !== undefined) await archive.store(manifest.path, "index.json")
    sources.push({
      config,
      layers,
      names: image.names,
      parent: image.parent,
      manifestDigest: manifest?.digest ?? "",
    })
  }
  return sources
}
