// sloop stop
import { stopEach, stoppingFlags } from "../../container/stopping.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Stop one or more running containers",
  flags: stoppingFlags,
  interspersed: true,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run: (context, parsed) => stopEach(context, parsed, "stop"),
}
