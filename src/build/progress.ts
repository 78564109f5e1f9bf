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

export type BuildEvent =
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
