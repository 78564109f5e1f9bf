// Answer of `--call=targets`: the stages that can be built (BuildKit's frontend.targets).
import type { CallAnswer } from "../build.ts"
import { describes } from "../dockerfile/descriptions.ts"
import type { Dockerfile } from "../dockerfile/instructions.ts"
import { base64, locationOf, withoutEmpty } from "./location.ts"
import { tableText } from "./table.ts"

export const targetsAnswer = (dockerfile: Dockerfile, source: Uint8Array): CallAnswer => {
  const targets = dockerfile.stages.map(({ name, from }, index) => ({
    name,
    default: index === dockerfile.stages.length - 1,
    description: describes(from.comments, name),
    base: from.image,
    platform: from.platform ?? "",
    location: locationOf(from.place),
  }))
  const rows = targets.map((target) => {
    const name = target.name === "" && target.default ? "(default)" : target.name
    return [target.name !== "" && target.default ? `${name} (default)` : name, target.description]
  })
  const text = tableText([["TARGET", "DESCRIPTION"], ...rows], 1)
  return {
    text,
    shown: text,
    json: { targets: targets.map(withoutEmpty), sources: [base64(source)] },
    statusCode: 0,
  }
}
