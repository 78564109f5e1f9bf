// sloop system prune
import { confirm, filterPair, readFilters } from "../../each.ts"
import { humanSize } from "../../format/units.ts"
import type { Verb } from "../../verb.ts"

interface Pruned {
  ContainersDeleted?: string[] | null
  ImagesDeleted?: { Untagged?: string; Deleted?: string }[] | null
  VolumesDeleted?: string[] | null
  SpaceReclaimed: number
}

export const verb: Verb = {
  usage: "[OPTIONS]",
  summary: "Remove unused data",
  flags: [
    { name: "all", short: "a", kind: "bool", summary: "Remove all unused images not just dangling ones" },
    {
      name: "filter",
      check: filterPair,
      kind: "list",
      value: "filter",
      summary: 'Provide filter values (e.g. "label=<key>=<value>")',
    },
    { name: "force", short: "f", kind: "bool", summary: "Do not prompt for confirmation" },
    { name: "volumes", kind: "bool", summary: "Prune anonymous volumes" },
  ],
  interspersed: true,
  least: 0,
  most: 0,
  async run(context, parsed) {
    const images = parsed.bool("all")
      ? "all images without at least one container associated to them"
      : "all dangling images"
    const what = [
      "all stopped containers",
      ...(parsed.bool("volumes") ? ["all anonymous volumes not used by at least one container"] : []),
      images,
    ]
    const question = `WARNING! This will remove:\n${what.map((line) => `  - ${line}`).join("\n")}\n\nAre you sure you want to continue?`
    if (!(await confirm(context, question, parsed.bool("force")))) return 0
    const filters = readFilters(parsed.list("filter"))
    const prune = (noun: string, more: Record<string, string[]> = {}) =>
      context.client.json<Pruned>("POST", `/${noun}/prune`, { query: { filters: { ...filters, ...more } } })
    const answers = [
      await prune("containers"),
      ...(parsed.bool("volumes") ? [await prune("volumes")] : []),
      await prune("images", { dangling: [parsed.bool("all") ? "false" : "true"] }),
    ]
    for (const { ContainersDeleted, VolumesDeleted, ImagesDeleted } of answers) {
      for (const id of [...(ContainersDeleted ?? []), ...(VolumesDeleted ?? [])]) context.print(id)
      for (const { Untagged, Deleted } of ImagesDeleted ?? [])
        context.print(Untagged ? `untagged: ${Untagged}` : `deleted: ${Deleted}`)
    }
    context.print(
      `Total reclaimed space: ${humanSize(answers.reduce((total, { SpaceReclaimed }) => total + SpaceReclaimed, 0))}`,
    )
    return 0
  },
}
