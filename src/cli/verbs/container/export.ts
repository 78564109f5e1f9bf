// sloop export
import { outputFlag, refuseOutput, writeOutput } from "../../output-file.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS] CONTAINER",
  summary: "Export a container's filesystem as a tar archive",
  flags: [outputFlag],
  interspersed: true,
  least: 1,
  most: 1,
  async run(context, parsed) {
    const output = parsed.string("output")
    await refuseOutput(context, "export container", output)
    const { body } = await context.client.send(
      "GET",
      `/containers/${encodeURIComponent(parsed.arguments[0] ?? "")}/export`,
    )
    await writeOutput(context, "Exporting", body, output)
    return 0
  },
}
