// sloop import
import { failure } from "../../../base/errors.ts"
import { readLines } from "../../../client/client.ts"
import { openInput } from "../../input-file.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
  summary: "Import the contents from a tarball to create a filesystem image",
  flags: [
    {
      name: "change",
      short: "c",
      kind: "list",
      value: "list",
      summary: "Apply Dockerfile instruction to the created image",
    },
    {
      name: "message",
      short: "m",
      kind: "string",
      value: "string",
      summary: "Set commit message for imported image",
    },
    {
      name: "platform",
      kind: "string",
      value: "string",
      summary: "Set platform if server is multi-platform capable",
    },
  ],
  interspersed: true,
  least: 1,
  most: 2,
  async run(context, parsed) {
    const [source = "-", reference = ""] = parsed.arguments
    const remote = /^https?:\/\//.test(source)
    const stream = remote ? undefined : openInput(context, "Importing", source)
    const query = {
      fromSrc: remote ? source : "-",
      repo: reference,
      message: parsed.string("message"),
      changes: parsed.list("change"),
      platform: parsed.string("platform"),
    }
    const { body } = await context.client.send("POST", "/images/create", {
      query,
      stream,
      contentType: "application/x-tar",
    })
    for await (const line of readLines<{ status?: string; error?: string }>(body)) {
      if (line.error) throw failure("invalid", line.error)
      if (line.status) context.print(line.status)
    }
    return 0
  },
}
