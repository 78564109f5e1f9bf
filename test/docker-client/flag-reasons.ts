// Why a flag of docker does not, or only partly, work: the one list, of which docs/compatibility.md and a test of the CLI are made.
import { readFileSync } from "node:fs"
import { join } from "node:path"

type Works = "yes" | "partly" | "no"

export interface FlagReason {
  readonly why: string
  /** With the docker client; absent = as its proofs say. */
  readonly docker?: Works
  /** With `sloop` itself; absent = as with the docker client. "no" = it has no such flag, or the engine refuses it. */
  readonly sloop?: Works
  /** "run --gpus" */
  readonly flags: readonly string[]
}

const file = join(import.meta.dirname, "flag-reasons.json")
export const flagReasons: readonly FlagReason[] = JSON.parse(readFileSync(file, "utf8"))

const byFlag = new Map(flagReasons.flatMap((reason) => reason.flags.map((flag) => [flag, reason] as const)))

/** The reason that is written down for a flag, undefined when there is none: then it works. */
export const reasonOf = (flag: string): FlagReason | undefined => byFlag.get(flag)
