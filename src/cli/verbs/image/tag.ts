// sloop tag
import type { Verb } from "../../verb.ts"

/** A reference into repository and tag, as the API takes them. */
function split(reference: string): { repo: string; tag: string } {
  const colon = reference.lastIndexOf(":")
  return colon > reference.lastIndexOf("/")
    ? { repo: reference.slice(0, colon), tag: reference.slice(colon + 1) }
    : { repo: reference, tag: "latest" }
}

export const verb: Verb = {
  usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
  summary: "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
  flags: [],
  interspersed: true,
  least: 2,
  most: 2,
  async run(context, parsed) {
    const [source = "", target = ""] = parsed.arguments
    await context.client.call("POST", `/images/${source}/tag`, { query: split(target) })
    return 0
  },
}
