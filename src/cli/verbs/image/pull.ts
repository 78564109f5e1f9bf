// sloop pull
import { failure } from "../../../base/errors.ts"
import { familiarName, formatReference, parseReference, withDefaultTag } from "../../../oci/reference.ts"
import { registryHeaders } from "../../credentials.ts"
import { drawLines } from "../../layer-lines.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
  summary: "Download an image from a registry",
  flags: [
    { name: "all-tags", short: "a", kind: "bool", summary: "Download all tagged images in the repository" },
    { name: "disable-content-trust", kind: "bool", default: true, summary: "Skip image verification" },
    {
      name: "platform",
      kind: "string",
      value: "string",
      summary: "Set platform if server is multi-platform capable",
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
    if (all && (given.tag !== undefined || given.digest !== undefined))
      throw failure("invalid", "tag can't be used with --all-tags/-a")
    const reference = all ? given : withDefaultTag(given)
    if (!all && !quiet && given.tag === undefined && given.digest === undefined)
      context.print(`Using default tag: ${reference.tag}`)
    const { body } = await context.client.send("POST", "/images/create", {
      query: {
        fromImage: familiarName(reference),
        tag: reference.digest ?? reference.tag ?? "",
        platform: parsed.string("platform"),
      },
      headers: await registryHeaders(context.env, name),
    })
    await drawLines(context.out, body, { quiet })
    context.print(formatReference(reference))
    return 0
  },
}
