// The little of LLB that is understood: results named by an opaque source, and sources that are nothing but a source.
import { createHash } from "node:crypto"
import { failure } from "../../../base/errors.ts"
import { type Definition, Op } from "../../../wire/buildkit/ops.ts"
import type { Decoded } from "../../../wire/buildkit/protobuf.ts"

const RESULT = "sloop-result://"

const digestOf = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`

/** A definition that stands for a result of this engine; a client may give it back as an input. */
export function resultDefinition(id: string) {
  const source = Op.encode({ source: { identifier: `${RESULT}${id}` } })
  const digest = digestOf(source)
  return {
    def: [source, Op.encode({ inputs: [{ digest, index: 0 }] })],
    metadata: new Map([
      [digest, { description: new Map([["llb.customname", "[internal] result of a build"]]) }],
    ]),
  }
}

export type DefinedInput =
  | { readonly type: "result"; readonly id: string }
  | { readonly type: "local"; readonly name: string }
  | { readonly type: "image"; readonly reference: string }
  | { readonly type: "remote"; readonly url: string }

/** What a definition is. Throws not-implemented for one that has steps. */
export function readDefinition({ def }: Decoded<typeof Definition>): DefinedInput {
  const ops = def.map((bytes) => Op.decode(bytes))
  const byDigest = new Map(def.map((bytes, index) => [digestOf(bytes), ops[index]]))
  const wanted = ops.at(-1)?.inputs[0]?.digest
  const op = wanted === undefined ? undefined : byDigest.get(wanted)
  if (op?.source === undefined || op.inputs.length > 0)
    throw failure(
      "not-implemented",
      "this engine builds Dockerfiles: a definition in LLB may only be a source (local, image, Git or HTTP), not steps",
    )
  const { identifier, attributes } = op.source
  const [, scheme = "", rest = ""] = /^([a-z-]+):\/\/(.*)$/s.exec(identifier) ?? []
  switch (scheme) {
    case "sloop-result":
      return { type: "result", id: rest }
    case "local":
      return { type: "local", name: rest }
    case "docker-image":
      return { type: "image", reference: rest }
    case "http":
    case "https":
      return { type: "remote", url: identifier }
    case "git": {
      const fragment = rest.includes("#") ? rest.slice(rest.indexOf("#")) : ""
      const full = attributes.get("git.fullurl")
      return { type: "remote", url: full === undefined ? `https://${rest}` : `${full}${fragment}` }
    }
    default:
      throw failure("not-implemented", `sources of the kind ${scheme || identifier} are not built from`)
  }
}
