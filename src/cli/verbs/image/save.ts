// sloop save
import { outputFlag, refuseOutput, writeOutput } from "../../output-file.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  summary: "Save one or more images to a tar archive (streamed to STDOUT by default)",
  flags: [outputFlag],
  interspersed: true,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  async run(context, parsed) {
    const output = parsed.string("output")
    await refuseOutput(context, "save image", output)
    const { body } = await context.client.send("GET", "/images/get", { query: { names: parsed.arguments } })
    await writeOutput(context, "Saving", body, output)
    return 0
  },
}
