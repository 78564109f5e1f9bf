// sloop manifest rm
import { parseReference, withDefaultTag } from "../../../oci/reference.ts"
import { forEach } from "../../each.ts"
import { removeDraft } from "../../manifest/drafts.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "MANIFEST_LIST [MANIFEST_LIST...]",
  summary: "Delete one or more manifest lists from local storage",
  flags: [],
  interspersed: true,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run: (context, parsed) =>
    forEach(context, parsed.arguments, async (name) => {
      removeDraft(context.env, withDefaultTag(parseReference(name)))
      return null
    }),
}
