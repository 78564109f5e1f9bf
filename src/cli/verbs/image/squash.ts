// sloop image squash
import { familiarName, parseReference, withDefaultTag } from "../../../oci/reference.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "IMAGE [TARGET_IMAGE[:TAG]]",
  summary: "Make an image with all files of another in one layer",
  flags: [],
  interspersed: true,
  least: 1,
  most: 2,
  async run(context, parsed) {
    const [image = "", name] = parsed.arguments
    const target = name === undefined ? undefined : withDefaultTag(parseReference(name))
    const { Id } = await context.client.json<{ Id: string }>(
      "POST",
      `/images/${encodeURIComponent(image)}/squash`,
      { query: target === undefined ? {} : { repo: familiarName(target), tag: target.tag ?? "" } },
    )
    context.print(Id)
    return 0
  },
}
