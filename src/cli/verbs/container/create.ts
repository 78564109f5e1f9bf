// sloop create
import { createContainer } from "../../container/create.ts"
import { createFlags } from "../../container/flags.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  summary: "Create a new container",
  flags: createFlags,
  interspersed: false,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  async run(context, parsed) {
    context.print(await createContainer(context, parsed, false))
    return 0
  },
}
