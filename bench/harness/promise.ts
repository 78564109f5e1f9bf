// A promise is a number with a limit; each bench file exports the ones it measures.
import type { Peer } from "./peers.ts"

export interface Contenders {
  readonly sloop: Peer & { socket: string; directory: string }
  readonly docker?: Peer & { socket: string }
  readonly podman?: Peer
  /** Fewer rounds for a quick look (npm run bench -- --quick). */
  readonly rounds: number
}

export interface Outcome {
  /** As SPECIFICATION.md words it. */
  readonly promise: string
  readonly measured: number
  readonly unit: string
  readonly limit: number
  readonly better: "lower" | "higher"
  /** Medians by contender, for the table. */
  readonly figures: Readonly<Record<string, number>>
  /** Everything measured, for the raw file. */
  readonly raw: Readonly<Record<string, readonly number[]>>
}

export const kept = ({ measured, limit, better }: Outcome): boolean =>
  better === "lower" ? measured <= limit : measured >= limit

/** A bench: one file, one subject. */
export interface Bench {
  readonly name: string
  run(contenders: Contenders): Promise<Outcome[]>
}
