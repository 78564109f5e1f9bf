// The builder's verbs over the rooms: Dockerfile and contexts in, images out.
import { failure } from "../base/errors.ts"
import type { Builder } from "./build.ts"
import type { History } from "./history.ts"
import type { BuilderOptions } from "./open.ts"
import type { BuildRooms } from "./rooms.ts"

export type LoadedBuilder = Pick<
  Builder,
  "solve" | "call" | "export" | "build" | "usage" | "prune" | "trim" | "recover" | "close"
>

export interface BuilderParts extends BuilderOptions {
  readonly history: History
  /** Builds that run, by id. */
  readonly running: Map<string, AbortController>
}

export const loadBuilder = async (_rooms: BuildRooms, _parts: BuilderParts): Promise<LoadedBuilder> => {
  const notYet = async () => {
    throw failure("unavailable", "this engine cannot build images")
  }
  return {
    solve: notYet,
    call: notYet,
    export: notYet,
    build: notYet,
    usage: async () => [],
    prune: async () => ({ removed: [], reclaimed: 0 }),
    trim: async () => 0,
    recover: async () => {},
    close: async () => {},
  }
}
