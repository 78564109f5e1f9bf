// sloop manifest push: the list's manifests move into its repository, then the list itself.
import { failure } from "../../../base/errors.ts"
import { mediaTypes } from "../../../oci/media-types.ts"
import { parseReference, withDefaultTag } from "../../../oci/reference.ts"
import { copyImage } from "../../../registry-client/registry-client.ts"
import { getDraft, indexEntry, removeDraft } from "../../manifest/drafts.ts"
import { insecureFlag, openRemotes } from "../../remote.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS] MANIFEST_LIST",
  summary: "Push a manifest list to a repository",
  flags: [
    insecureFlag,
    { name: "purge", short: "p", kind: "bool", summary: "Remove the local manifest list after push" },
  ],
  interspersed: true,
  least: 1,
  most: 1,
  async run(context, parsed) {
    const list = withDefaultTag(parseReference(parsed.arguments[0] ?? ""))
    const { entries } = getDraft(context.env, list)
    const remotes = openRemotes(context, parsed, [list])
    const to = await remotes.repository(list, "pull,push")
    for (const { reference, descriptor } of entries) {
      const { platform } = descriptor
      if (platform === undefined || platform.os === "" || platform.architecture === "")
        throw failure(
          "invalid",
          `manifest ${reference} must have an OS and Architecture to be pushed to a registry`,
        )
      const source = parseReference(reference)
      const from = await remotes.repository(source, "pull")
      await copyImage({
        from,
        to,
        source: descriptor.digest,
        mountFrom: source.path,
        referrers: false,
        report: () => {},
      })
    }
    const docker = entries.every(({ descriptor }) => descriptor.mediaType === mediaTypes.dockerManifest)
    const mediaType = docker ? mediaTypes.dockerList : mediaTypes.ociIndex
    const bytes = Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType, manifests: entries.map(indexEntry) }, null, 3),
    )
    const { digest } = await to.putDocument(list.tag ?? "latest", { bytes, mediaType })
    if (parsed.bool("purge")) removeDraft(context.env, list)
    context.print(digest)
    return 0
  },
}
