// sloop commit
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
  summary: "Create a new image from a container's changes",
  flags: [
    {
      name: "author",
      short: "a",
      kind: "string",
      value: "string",
      summary: 'Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")',
    },
    {
      name: "change",
      short: "c",
      kind: "list",
      value: "list",
      summary: "Apply Dockerfile instruction to the created image",
    },
    { name: "message", short: "m", kind: "string", value: "string", summary: "Commit message" },
    { name: "pause", short: "p", kind: "bool", default: true, summary: "Pause container during commit" },
  ],
  interspersed: true,
  least: 1,
  most: 2,
  async run(context, parsed) {
    const [container, reference = ""] = parsed.arguments
    const query = {
      container,
      repo: reference,
      author: parsed.string("author"),
      comment: parsed.string("message"),
      pause: parsed.bool("pause"),
      changes: parsed.list("change"),
    }
    const { Id } = await context.client.json<{ Id: string }>("POST", "/commit", { query })
    context.print(Id)
    return 0
  },
}
