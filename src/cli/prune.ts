// What the prune verbs share: their flags, the question, what was removed and the room that it gave.
import { pruneFilterFlag, readFilters } from "./filters.ts"
import type { Flag, Parsed } from "./flags.ts"
import { humanSize } from "./format/units.ts"
import { readStandardInput } from "./input.ts"
import type { Context } from "./verb.ts"

/** The API's answer to a prune; each noun fills its own list. */
export interface Pruned {
  readonly ContainersDeleted?: readonly string[] | null
  readonly ImagesDeleted?: readonly { Untagged?: string; Deleted?: string }[] | null
  readonly VolumesDeleted?: readonly string[] | null
  readonly NetworksDeleted?: readonly string[] | null
  readonly CachesDeleted?: readonly string[] | null
  /** Absent for networks, which take none. */
  readonly SpaceReclaimed?: number
}

export const pruneFlags: readonly Flag[] = [
  { name: "force", short: "f", kind: "bool", summary: "Do not prompt for confirmation" },
  pruneFilterFlag,
]

/** Asks a yes/no question unless forced; the end of input is a no. */
async function confirm(context: Context, question: string, force: boolean): Promise<boolean> {
  if (force) return true
  await context.out.write(`${question} [y/N] `)
  let answer = ""
  for await (const chunk of readStandardInput()) {
    answer += chunk
    if (answer.includes("\n")) break
  }
  return /^y(es)?$/i.test((answer.split("\n")[0] ?? "").trim())
}

/** Warns of what would go (one sentence, or a list of lines) and asks whether it shall. */
export const confirmPrune = (context: Context, parsed: Parsed, loss: string): Promise<boolean> =>
  confirm(
    context,
    `WARNING! This will remove${loss}\nAre you sure you want to continue?`,
    parsed.bool("force"),
  )

/** Prunes one noun ("containers"); `more` joins the filters of the command line. */
export const prune = (
  context: Context,
  parsed: Parsed,
  noun: string,
  more: Readonly<Record<string, readonly string[]>> = {},
): Promise<Pruned> =>
  context.client.json<Pruned>("POST", `/${noun}/prune`, {
    query: { filters: { ...readFilters(parsed.list("filter")), ...more } },
  })

/** What was removed, a line each. */
const prunedLines = (pruned: Pruned): string[] => [
  ...(pruned.ContainersDeleted ?? []),
  ...(pruned.VolumesDeleted ?? []),
  ...(pruned.NetworksDeleted ?? []),
  ...(pruned.CachesDeleted ?? []),
  ...(pruned.ImagesDeleted ?? []).map(({ Untagged, Deleted }) =>
    Untagged ? `untagged: ${Untagged}` : `deleted: ${Deleted}`,
  ),
]

export const printReclaimed = (context: Context, bytes: number): void =>
  context.print(`Total reclaimed space: ${humanSize(bytes)}`)

/** Tells what one noun lost ("Deleted Images:"), if anything. */
export function printLost(context: Context, heading: string, pruned: Pruned): void {
  const lines = prunedLines(pruned)
  if (lines.length > 0) context.print(`${heading}\n${lines.join("\n")}\n`)
}

/** Tells what one noun lost and the room that it gave. */
export function printPruned(context: Context, heading: string, pruned: Pruned): void {
  printLost(context, heading, pruned)
  printReclaimed(context, pruned.SpaceReclaimed ?? 0)
}
