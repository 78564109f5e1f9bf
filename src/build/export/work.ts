// What every kind of export is given.
import type { Hold } from "../../images/images.ts"
import type { BuiltImage, ExportOptions, ExportRequest, Solved } from "../build.ts"
import type { BuildRooms } from "../rooms.ts"
import { type Attributes, readEpoch } from "./attributes.ts"
import type { ExportableStep } from "./export.ts"
import type { Stages } from "./stages.ts"

/** The rooms that exports use. */
export type ExportRooms = Pick<BuildRooms, "content" | "images" | "kernel" | "root" | "snapshots" | "state">

export interface ExportWork {
  readonly rooms: ExportRooms
  readonly solved: Solved
  readonly options: ExportOptions
  readonly steps: readonly ExportableStep[]
  /** What is to be exported: with --squash not what was solved. */
  readonly images: readonly BuiltImage[]
  readonly request: ExportRequest
  readonly attributes: Attributes
  /** SOURCE_DATE_EPOCH in seconds. */
  readonly epoch: number | undefined
  /** Keeps what is made until the export ends. */
  readonly hold: Hold
  readonly stages: Stages
  readonly signal: AbortSignal
}

/** What an export answers: keys of ExportedBuild.response, and the local image if it made one. */
export interface Exported {
  readonly response: readonly (readonly [key: string, value: string])[]
  readonly imageId?: string
}

export const epochOf = (request: ExportRequest, solved: Solved): number | undefined =>
  readEpoch(request.attributes, solved.request)
