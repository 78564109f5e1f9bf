// "oci" and "docker": one tar (or, with tar=false, a tree) that is an OCI layout, and for docker a docker-archive as well.
import { failure } from "../../base/errors.ts"
import { type TarSource, writeTar } from "../../base/tar-writer.ts"
import { digestHex } from "../../oci/digest.ts"
import { mediaTypes } from "../../oci/media-types.ts"
import { familiarReference, parseReference } from "../../oci/reference.ts"
import type { Assembled, WrittenDescriptor } from "./assemble.ts"
import { assemble, responseOf } from "./assemble.ts"
import { flag, readNames } from "./attributes.ts"
import { destinationOf } from "./check.ts"
import { told } from "./stages.ts"
import type { Exported, ExportWork } from "./work.ts"

const path = (digest: string): string => `blobs/sha256/${digestHex(digest)}`

const json = (name: string, value: unknown): TarSource => ({
  name,
  type: "file",
  body: Buffer.from(JSON.stringify(value)),
})

/** What is in the archive, in order; every time in it is 0. */
const layoutEntries = (assembled: Assembled, names: readonly string[], docker: boolean): TarSource[] => {
  const blobs = new Map<string, TarSource>()
  for (const { digest, bytes, blobs: parts } of assembled.documents) {
    blobs.set(digest, { name: path(digest), type: "file", body: bytes })
    for (const blob of parts)
      blobs.set(blob.digest, { name: path(blob.digest), type: "file", size: blob.size, body: blob.open(0) })
  }
  const { annotations, ...root } = assembled.root
  const entries = names.map((name): WrittenDescriptor => {
    const { tag = "" } = parseReference(name)
    const named = { "io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag }
    return { ...root, annotations: { ...annotations, ...named } }
  })
  const manifests = entries.length === 0 ? [assembled.root] : entries
  const [image] = assembled.images
  const legacy =
    docker && image !== undefined
      ? [
          json("manifest.json", [
            {
              Config: path(image.configDigest),
              RepoTags: names.map((name) => familiarReference(parseReference(name))),
              Layers: image.layers.map(({ digest }) => path(digest)),
            },
          ]),
        ]
      : []
  return [
    { name: "blobs/", type: "directory" },
    { name: "blobs/sha256/", type: "directory" },
    ...[...blobs.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    json("index.json", { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }),
    ...legacy,
    json("oci-layout", { imageLayoutVersion: "1.0.0" }),
  ]
}

/** With the time of the export, or of SOURCE_DATE_EPOCH, as BuildKit writes it. */
const dated = (root: WrittenDescriptor, epoch: number | undefined): WrittenDescriptor => {
  const key = "org.opencontainers.image.created"
  if (root.annotations?.[key] !== undefined) return root
  const time = new Date(epoch === undefined ? Date.now() : epoch * 1000)
  const created = time.toISOString().replace(/\.\d+Z$/, "Z")
  return { ...root, annotations: { ...root.annotations, [key]: created } }
}

export const exportArchive = async (work: ExportWork, type: "oci" | "docker"): Promise<Exported> => {
  const { attributes, request, stages } = work
  const { full } = readNames(attributes)
  const docker = type === "docker"
  if (docker && work.images.length > 1)
    throw failure(
      "not-implemented",
      "docker exporter does not currently support exporting manifest lists: use --output type=oci for several platforms",
    )
  const asTar = flag(attributes, "tar", true)
  const write = destinationOf(request, asTar ? "write" : "writeTree")
  const assembled = await assemble(work, !docker)
  const final = { ...assembled, root: dated(assembled.root, work.epoch) }
  const tar = writeTar(layoutEntries(final, full, docker))
  await stages.step(asTar ? "sending tarball" : "copying files", (tell) =>
    write(told(tar, 0, tell, work.signal)),
  )
  return { response: responseOf(final, full) }
}
