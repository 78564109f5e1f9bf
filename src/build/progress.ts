// Contract. What a running build tells: vertices (steps), their parts' progress, their output, and warnings; one stream.
import type { BuildWarning } from "./build.ts"

/** A step as progress shows it. Told anew whenever something of it changes. Times are unix milliseconds. */
export interface Vertex {
  /** "sha256:…", the same for the same step. */
  readonly digest: string
  readonly inputs: readonly string[]
  /** "[build 2/5] RUN make", "[internal] load build definition from Dockerfile" … */
  readonly name: string
  readonly startedAt?: number
  readonly completedAt?: number
  readonly cached: boolean
  /** "" unless it failed. */
  readonly error: string
  /** Steps of one group are drawn together; "" = none. */
  readonly group?: string
}

/** An instruction of a stage, as faces tell of it that count them. */
export interface ToldStep {
  /** As written, on one line: "RUN make", "FROM busybox AS one". */
  readonly original: string
  /** Digest of the node that it became; "" when it changes only the config. */
  readonly vertex: string
  /** Comes from an ONBUILD of the base image. */
  readonly trigger: boolean
  /** FROM an image that is here: its id. */
  readonly image?: string
}

/** A stage that is needed, in the Dockerfile's order; its first step is FROM. */
export interface ToldStage {
  readonly name: string
  readonly steps: readonly ToldStep[]
}

export type BuildEvent =
  /** All that will be done, told once before anything of it begins. `globalArgs`: ARG before the first FROM, as written. */
  | {
      readonly type: "plan"
      readonly globalArgs: readonly string[]
      readonly stages: readonly ToldStage[]
    }
  | { readonly type: "vertex"; readonly vertex: Vertex }
  | {
      readonly type: "status"
      readonly vertex: string
      /** "transferring context", a layer's digest … */
      readonly id: string
      readonly current: number
      /** 0 = unknown. */
      readonly total: number
      readonly at: number
      readonly startedAt?: number
      readonly completedAt?: number
    }
  | {
      readonly type: "log"
      readonly vertex: string
      readonly stream: 1 | 2
      readonly bytes: Uint8Array
      readonly at: number
    }
  | {
      readonly type: "warning"
      readonly vertex: string
      readonly warning: BuildWarning
      readonly source: Uint8Array
    }
  /** What a step became; for faces that tell of every one ("---> 0123…"). `chainId` is the state's after the step. */
  | { readonly type: "result"; readonly vertex: string; readonly chainId: string }

export type ReportBuild = (event: BuildEvent) => void
