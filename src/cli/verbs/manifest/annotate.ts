// sloop manifest annotate: what a list says of one of its manifests.
import { failure } from "../../../base/errors.ts"
import { formatReference, parseReference, withDefaultTag } from "../../../oci/reference.ts"
import type { Parsed } from "../../flags.ts"
import { type DraftEntry, getDraft, keepDraft } from "../../manifest/drafts.ts"
import type { Verb } from "../../verb.ts"

const annotated = (entry: DraftEntry, parsed: Parsed): DraftEntry => {
  const { platform = { os: "", architecture: "", variant: "" } } = entry.descriptor
  const osVersion = parsed.string("os-version") ?? entry.osVersion
  const features = parsed.list("os-features")
  return {
    ...entry,
    descriptor: {
      ...entry.descriptor,
      platform: {
        os: parsed.string("os") ?? platform.os,
        architecture: parsed.string("arch") ?? platform.architecture,
        variant: parsed.string("variant") ?? platform.variant,
      },
    },
    ...(osVersion === undefined ? {} : { osVersion }),
    ...(features.length === 0 ? {} : { osFeatures: features.flatMap((text) => text.split(",")) }),
  }
}

export const verb: Verb = {
  usage: "[OPTIONS] MANIFEST_LIST MANIFEST",
  summary: "Add additional information to a local image manifest",
  flags: [
    { name: "arch", kind: "string", value: "string", summary: "Set architecture" },
    { name: "os", kind: "string", value: "string", summary: "Set operating system" },
    { name: "os-features", kind: "list", value: "strings", summary: "Set operating system feature" },
    { name: "os-version", kind: "string", value: "string", summary: "Set operating system version" },
    { name: "variant", kind: "string", value: "string", summary: "Set architecture variant" },
  ],
  interspersed: true,
  least: 2,
  most: 2,
  async run(context, parsed) {
    const [name = "", of = ""] = parsed.arguments
    const list = withDefaultTag(parseReference(name))
    const key = formatReference(withDefaultTag(parseReference(of)))
    const { entries } = getDraft(context.env, list)
    if (!entries.some(({ reference }) => reference === key))
      throw failure("not-found", `manifest for image ${of} does not exist in ${name}`)
    keepDraft(context.env, list, {
      entries: entries.map((entry) => (entry.reference === key ? annotated(entry, parsed) : entry)),
    })
    return 0
  },
}
