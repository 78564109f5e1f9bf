// sloop load
import { failure } from "../../../base/errors.ts"
import { readLines } from "../../../client/client.ts"
import { openInput } from "../../input-file.ts"
import type { Verb } from "../../verb.ts"

interface Line {
  stream?: string
  status?: string
  error?: string
}

export const verb: Verb = {
  usage: "[OPTIONS]",
  summary: "Load an image from a tar archive or STDIN",
  flags: [
    {
      name: "input",
      short: "i",
      kind: "string",
      value: "string",
      summary: "Read from tar archive file, instead of STDIN",
    },
    { name: "quiet", short: "q", kind: "bool", summary: "Suppress the load output" },
    { name: "platform", kind: "string", value: "string", summary: "Load only the given platform variant" },
  ],
  interspersed: true,
  least: 0,
  most: 0,
  async run(context, parsed) {
    const input = parsed.string("input")
    if (input === undefined && context.stdin.isTTY)
      throw failure("invalid", "requested load from stdin, but stdin is empty")
    const quiet = parsed.bool("quiet") || !context.out.isTTY
    const stream = openInput(context, "Loading", input, { quiet: parsed.bool("quiet") })
    const { body } = await context.client.send("POST", "/images/load", {
      query: { quiet, platform: parsed.string("platform") },
      stream,
      contentType: "application/x-tar",
    })
    for await (const line of readLines<Line>(body)) {
      if (line.error) throw failure("invalid", line.error)
      if (line.stream) context.out.write(line.stream)
      else if (line.status && !quiet) context.print(line.status)
    }
    return 0
  },
}
