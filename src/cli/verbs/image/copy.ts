// sloop image copy: from one registry to another, through this process and past every store.
import { parsePlatform } from "../../../oci/platform.ts"
import { familiarReference, parseReference, withDefaultTag } from "../../../oci/reference.ts"
import { type CopyStep, copyImage } from "../../../registry-client/registry-client.ts"
import { humanSize } from "../../format/units.ts"
import { insecureFlag, openRemotes } from "../../remote.ts"
import type { Verb } from "../../verb.ts"

const words: Readonly<Record<CopyStep["what"], string>> = {
  there: "already exists",
  mounted: "mounted",
  copied: "copied",
  manifest: "manifest written",
}

export const verb: Verb = {
  usage: "[OPTIONS] SOURCE[:TAG|@DIGEST] TARGET[:TAG]",
  summary: "Copy an image from one registry to another without storing it here",
  flags: [
    insecureFlag,
    {
      name: "platform",
      kind: "string",
      value: "string",
      summary: "Copy only what suits a platform, not the whole index",
    },
    { name: "quiet", short: "q", kind: "bool", summary: "Print the digest only" },
    { name: "without-referrers", kind: "bool", summary: "Leave signatures and other referrers behind" },
  ],
  interspersed: true,
  least: 2,
  most: 2,
  async run(context, parsed) {
    const [from = "", to = ""] = parsed.arguments
    const source = withDefaultTag(parseReference(from))
    const target = parseReference(to)
    const tag = target.tag ?? (target.digest === undefined ? (source.tag ?? "latest") : undefined)
    const remotes = openRemotes(context, parsed, [source, target])
    const platform = parsed.string("platform")
    const quiet = parsed.bool("quiet")
    const digest = await copyImage({
      from: await remotes.repository(source, "pull"),
      to: await remotes.repository(target, "pull,push"),
      source: source.digest ?? source.tag ?? "latest",
      ...(tag === undefined ? {} : { target: tag }),
      ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
      ...(source.domain === target.domain ? { mountFrom: source.path } : {}),
      referrers: !parsed.bool("without-referrers"),
      report: ({ digest: what, size, what: step }) => {
        if (!quiet) context.print(`${what.slice(7, 19)}: ${words[step]} (${humanSize(size)})`)
      },
    })
    if (quiet) context.print(digest)
    else
      context.print(
        `${familiarReference({ domain: target.domain, path: target.path, ...(tag === undefined ? {} : { tag }) })}: digest: ${digest}`,
      )
    return 0
  },
}
