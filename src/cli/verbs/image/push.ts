// sloop push
import { failure } from "../../../base/errors.ts"
import { parsePlatform } from "../../../oci/platform.ts"
import { familiarName, formatReference, parseReference, withDefaultTag } from "../../../oci/reference.ts"
import { registryHeaders } from "../../credentials.ts"
import { drawLines } from "../../layer-lines.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS] NAME[:TAG]",
  summary: "Upload an image to a registry",
  flags: [
    { name: "all-tags", short: "a", kind: "bool", summary: "Push all tags of an image to the repository" },
    { name: "disable-content-trust", kind: "bool", default: true, summary: "Skip image signing" },
    {
      name: "platform",
      kind: "string",
      value: "string",
      summary: "Refuse to push an image that is for another platform than this one",
    },
    { name: "quiet", short: "q", kind: "bool", summary: "Suppress verbose output" },
  ],
  interspersed: true,
  least: 1,
  most: 1,
  async run(context, parsed) {
    const [name = ""] = parsed.arguments
    const given = parseReference(name)
    const all = parsed.bool("all-tags")
    const quiet = parsed.bool("quiet")
    if (all && given.tag !== undefined) throw failure("invalid", "tag can't be used with --all-tags/-a")
    const reference = all ? given : withDefaultTag(given)
    if (!all && !quiet && given.tag === undefined) context.print(`Using default tag: ${reference.tag}`)
    const wanted = parsed.string("platform")
    const { body } = await context.client.send("POST", `/images/${familiarName(reference)}/push`, {
      query: {
        tag: reference.tag ?? "",
        platform: wanted === undefined ? undefined : JSON.stringify(parsePlatform(wanted)),
      },
      headers: await registryHeaders(context.env, name),
    })
    await drawLines(context.out, body, { quiet })
    if (quiet) context.print(formatReference(reference))
    return 0
  },
}
