// sloop manifest create: a list of images that lie at a registry, kept here until it is pushed.
import { failure } from "../../../base/errors.ts"
import { parseConfigDocument } from "../../../oci/config.ts"
import type { Descriptor } from "../../../oci/descriptor.ts"
import { parseManifest } from "../../../oci/manifest.ts"
import { isIndexType } from "../../../oci/media-types.ts"
import {
  familiarReference,
  formatReference,
  parseReference,
  type Reference,
  withDefaultTag,
} from "../../../oci/reference.ts"
import type { RemoteRepository } from "../../../registry-client/registry-client.ts"
import { type DraftEntry, findDraft, keepDraft } from "../../manifest/drafts.ts"
import { insecureFlag, openRemotes } from "../../remote.ts"
import type { Verb } from "../../verb.ts"

/** What a list says of one image: its manifest, and the platform that its config tells. */
const describe = async (remote: RemoteRepository, reference: Reference): Promise<Descriptor> => {
  const name = familiarReference(reference)
  const document = await remote.document(reference.digest ?? reference.tag ?? "latest")
  if (isIndexType(document.mediaType))
    throw failure("invalid", `${name} is a manifest list: name one of its manifests by its digest`)
  const manifest = parseManifest(document.bytes, `the manifest of ${name}`)
  const chunks: Uint8Array[] = []
  for await (const chunk of remote.blob(manifest.config, 0)) chunks.push(chunk)
  const { os, architecture, variant } = parseConfigDocument(Buffer.concat(chunks), `the config of ${name}`)
  return {
    mediaType: document.mediaType,
    digest: document.digest,
    size: document.bytes.length,
    annotations: {},
    platform: { os, architecture, variant },
  }
}

export const verb: Verb = {
  usage: "MANIFEST_LIST MANIFEST [MANIFEST...]",
  summary: "Create a local manifest list for annotating and pushing to a registry",
  flags: [
    { name: "amend", short: "a", kind: "bool", summary: "Amend an existing manifest list" },
    insecureFlag,
  ],
  interspersed: true,
  least: 2,
  most: Number.POSITIVE_INFINITY,
  async run(context, parsed) {
    const [name = "", ...manifests] = parsed.arguments
    const list = withDefaultTag(parseReference(name))
    const known = findDraft(context.env, list)
    if (known !== undefined && !parsed.bool("amend"))
      throw failure(
        "conflict",
        `refusing to amend an existing manifest list with no --amend flag: ${formatReference(list)}`,
      )
    const references = manifests.map((text) => withDefaultTag(parseReference(text)))
    const remotes = openRemotes(context, parsed, references)
    const entries = new Map<string, DraftEntry>(
      (known?.entries ?? []).map((entry) => [entry.reference, entry]),
    )
    for (const reference of references) {
      const key = formatReference(reference)
      if (reference.domain !== list.domain)
        throw failure(
          "invalid",
          `cannot use source images from a different registry than the target image: ${reference.domain} != ${list.domain}`,
        )
      const descriptor = await describe(await remotes.repository(reference, "pull"), reference)
      entries.set(key, { reference: key, descriptor })
    }
    keepDraft(context.env, list, { entries: [...entries.values()] })
    context.print(`Created manifest list ${formatReference(list)}`)
    return 0
  },
}
