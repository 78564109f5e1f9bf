// sloop manifest inspect: a manifest or a list, from a registry or from the lists that are put together here.
import { parseIndex } from "../../../oci/index.ts"
import { isIndexType, mediaTypes } from "../../../oci/media-types.ts"
import { formatReference, parseReference, type Reference, withDefaultTag } from "../../../oci/reference.ts"
import type { RemoteDocument, RemoteRepository } from "../../../registry-client/registry-client.ts"
import { findDraft, getDraft, indexEntry } from "../../manifest/drafts.ts"
import { insecureFlag, openRemotes } from "../../remote.ts"
import type { Context, Verb } from "../../verb.ts"

const show = (context: Context, document: unknown): void =>
  context.print(JSON.stringify(document, null, "\t"))

const parsedOf = ({ bytes }: RemoteDocument): unknown => JSON.parse(Buffer.from(bytes).toString("utf8"))

/** One manifest with where it lies and what names it, as docker's --verbose shows it. */
const verboseEntry = (reference: Reference, document: RemoteDocument, platform?: object): object => ({
  Ref: formatReference(reference),
  Descriptor: {
    mediaType: document.mediaType,
    digest: document.digest,
    size: document.bytes.length,
    ...(platform === undefined ? {} : { platform }),
  },
  Raw: Buffer.from(document.bytes).toString("base64"),
  [document.mediaType === mediaTypes.dockerManifest ? "SchemaV2Manifest" : "OCIManifest"]: parsedOf(document),
})

const verbose = async (
  remote: RemoteRepository,
  reference: Reference,
  top: RemoteDocument,
): Promise<unknown> => {
  if (!isIndexType(top.mediaType)) return verboseEntry(reference, top)
  const { manifests } = parseIndex(top.bytes, "the index")
  const entries = []
  for (const { digest, platform } of manifests) {
    const { tag: _, ...rest } = reference
    entries.push(verboseEntry({ ...rest, digest }, await remote.document(digest), platform))
  }
  return entries
}

export const verb: Verb = {
  usage: "[OPTIONS] [MANIFEST_LIST] MANIFEST",
  summary: "Display an image manifest, or manifest list",
  flags: [
    insecureFlag,
    {
      name: "verbose",
      short: "v",
      kind: "bool",
      summary: "Output additional info including layers and platform",
    },
  ],
  interspersed: true,
  least: 1,
  most: 2,
  async run(context, parsed) {
    const [first = "", second] = parsed.arguments
    if (second !== undefined) {
      const { entries } = getDraft(context.env, withDefaultTag(parseReference(first)))
      const key = formatReference(withDefaultTag(parseReference(second)))
      show(context, entries.filter(({ reference }) => reference === key).map(indexEntry)[0] ?? {})
      return 0
    }
    const reference = withDefaultTag(parseReference(first))
    const draft = findDraft(context.env, reference)
    if (draft !== undefined) {
      const manifests = draft.entries.map(indexEntry)
      show(context, { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests })
      return 0
    }
    const remote = await openRemotes(context, parsed, [reference]).repository(reference, "pull")
    const document = await remote.document(reference.digest ?? reference.tag ?? "latest")
    show(context, parsed.bool("verbose") ? await verbose(remote, reference, document) : parsedOf(document))
    return 0
  },
}
