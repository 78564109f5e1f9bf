// sloop image verify: proves by a key that somebody signed what a tag names at its registry.
import { readFileSync } from "node:fs"
import { errorMessage, failure } from "../../../base/errors.ts"
import { findProof } from "../../../images/images.ts"
import { familiarReference, parseReference, withDefaultTag } from "../../../oci/reference.ts"
import { parsePublicKey } from "../../../oci/signature.ts"
import { insecureFlag, openRemotes } from "../../remote.ts"
import type { Verb } from "../../verb.ts"

const readKey = (path: string) => {
  let text: string
  try {
    text = readFileSync(path, "utf8")
  } catch (cause) {
    throw failure("invalid", `the key ${path} cannot be read: ${errorMessage(cause)}`, { cause })
  }
  return parsePublicKey(text, `the key ${path}`)
}

export const verb: Verb = {
  usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
  summary: "Prove the signature of an image at its registry",
  flags: [
    insecureFlag,
    {
      name: "key",
      short: "k",
      kind: "list",
      value: "file",
      summary: "PEM file with a public key that is trusted",
    },
  ],
  interspersed: true,
  least: 1,
  most: 1,
  async run(context, parsed) {
    const keys = parsed.list("key").map(readKey)
    if (keys.length === 0) throw failure("invalid", "name at least one trusted public key: --key FILE")
    const reference = withDefaultTag(parseReference(parsed.arguments[0] ?? ""))
    const remote = await openRemotes(context, parsed, [reference]).repository(reference, "pull")
    const { digest } = await remote.document(reference.digest ?? reference.tag ?? "latest")
    const { found, proven } = await findProof(remote, digest, keys)
    if (proven === undefined)
      throw failure(
        "forbidden",
        found === 0
          ? `${familiarReference(reference)} (${digest}) has no signature`
          : `none of the ${found} signatures of ${familiarReference(reference)} (${digest}) is by ${parsed.list("key").join(" or ")}`,
      )
    context.print(`${familiarReference(reference)}: ${digest} is signed`)
    if (proven.reference !== "") context.print(`Signed as: ${proven.reference}`)
    return 0
  },
}
