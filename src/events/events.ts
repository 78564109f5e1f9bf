// Contract. One typed bus: what happened to which thing, kept in a bounded ring for `since`.

/** Times are unix nanoseconds as bigint, so that since/until and ordering are exact. */
export interface EngineEvent {
  readonly type: "container" | "image" | "volume" | "network" | "daemon" | "builder"
  /** create, start, die, "exec_create: sh", "health_status: healthy" … as Docker names them. */
  readonly action: string
  readonly id: string
  readonly attributes: Readonly<Record<string, string>>
  readonly timeNano: bigint
}

export interface Events {
  publish(event: Omit<EngineEvent, "timeNano">): void
  /** Called synchronously for each event; returns the unsubscribe function. */
  subscribe(listener: (event: EngineEvent) => void): () => void
  /** How many listen now. */
  listeners(): number
  /** The ring's events (at most 1,000), oldest first. */
  recent(): readonly EngineEvent[]
}

export { createEvents } from "./bus.ts"
