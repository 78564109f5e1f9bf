// sloop builder prune

import { readBytes } from "../../container/values.ts"
import { readFilters } from "../../filters.ts"
import { confirmPrune, type Pruned, printPruned, pruneFlags } from "../../prune.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "",
  summary: "Remove build cache",
  flags: [
    {
      name: "all",
      short: "a",
      kind: "bool",
      summary: "Remove all unused build cache, not just dangling ones",
    },
    {
      name: "keep-storage",
      kind: "string",
      value: "bytes",
      check: readBytes,
      summary: "Amount of disk space to keep for cache",
    },
    {
      name: "reserved-space",
      kind: "string",
      value: "bytes",
      check: readBytes,
      summary: "Amount of disk space always allowed to keep for cache",
    },
    {
      name: "max-used-space",
      kind: "string",
      value: "bytes",
      check: readBytes,
      summary: "Maximum amount of disk space allowed to keep for cache",
    },
    {
      name: "min-free-space",
      kind: "string",
      value: "bytes",
      check: readBytes,
      summary: "Target amount of free disk space after pruning",
    },
    { name: "builder", kind: "string", summary: "Ignored: there is one builder", hidden: true },
    { name: "verbose", kind: "bool", summary: "Tell of every record that is removed" },
    ...pruneFlags,
  ],
  interspersed: true,
  least: 0,
  most: 0,
  async run(context, parsed) {
    const what = parsed.bool("all") ? " all build cache." : " all dangling build cache."
    if (!(await confirmPrune(context, parsed, what))) return 0
    const bytes = (name: string) => {
      const value = parsed.string(name)
      return value === undefined ? undefined : readBytes(value)
    }
    const pruned = await context.client.json<Pruned>("POST", "/build/prune", {
      query: {
        all: parsed.bool("all"),
        filters: readFilters(parsed.list("filter")),
        "keep-storage": bytes("keep-storage"),
        "reserved-space": bytes("reserved-space"),
        "max-used-space": bytes("max-used-space"),
        "min-free-space": bytes("min-free-space"),
      },
    })
    printPruned(context, "Deleted build cache objects:", pruned)
    return 0
  },
}
