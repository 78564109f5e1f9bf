// Contract of a verb: one file each, parse then act.
import type { EngineClient } from "../client/client.ts"
import type { Flag, Parsed } from "./flags.ts"
import type { Output } from "./output.ts"

/** What a verb acts with. Output goes through `out`/`err`, so that tests can read it. */
export interface Context {
  /** Connected lazily; the daemon is started when none answers and the host is the default one. */
  readonly client: EngineClient
  /** Name of the docker context that chose the engine; "default" when none did. */
  readonly contextName: string
  /** Host of this machine's own engine. */
  readonly ownHost: string
  readonly out: Output
  readonly err: Output
  readonly stdin: NodeJS.ReadStream
  readonly env: Readonly<Record<string, string | undefined>>
  /** Full words of the verb as typed ("container ls"). */
  readonly verb: string
  print(line: string): void
  warn(line: string): void
}

export interface Verb {
  /** After the verb's name: "[OPTIONS] IMAGE [COMMAND] [ARG...]". */
  readonly usage: string
  readonly summary: string
  readonly flags: readonly Flag[]
  /** False when everything after the first positional belongs to a command (run, exec, create). */
  readonly interspersed: boolean
  /** How many positional arguments are allowed. */
  readonly least: number
  readonly most: number
  /** Resolves to the exit code. Failures are printed and mapped by cli.ts. */
  run(context: Context, parsed: Parsed): Promise<number>
}
