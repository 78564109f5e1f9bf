// What clients read about images.
import type { ContainerConfigView } from "./container.ts"

/** GET /images/json */
export interface ImageSummary {
  Id: string
  ParentId: string
  RepoTags: string[]
  RepoDigests: string[]
  Created: number
  Size: number
  SharedSize: number
  VirtualSize?: number
  Labels: Record<string, string> | null
  Containers: number
}

export type ImageConfigView = Partial<ContainerConfigView>

/** GET /images/{name}/json */
export interface ImageInspect {
  Id: string
  RepoTags: string[]
  RepoDigests: string[]
  Parent: string
  Comment: string
  Created: string
  DockerVersion: string
  Author: string
  Container?: string
  ContainerConfig?: null
  Config: ImageConfigView
  Architecture: string
  Variant?: string
  Os: string
  Size: number
  VirtualSize?: number
  GraphDriver: { Data: Record<string, string> | null; Name: string }
  RootFS: { Type: string; Layers?: string[] }
  Metadata: { LastTagTime: string }
}

/** GET /images/{name}/history */
export interface ImageHistoryEntry {
  Id: string
  Created: number
  CreatedBy: string
  Tags: string[] | null
  Size: number
  Comment: string
}

export interface ImageDeleteEntry {
  Untagged?: string
  Deleted?: string
}

/** One line of the streams of load, import and pull. */
export interface ProgressLine {
  id?: string
  status?: string
  stream?: string
  progressDetail?: { current?: number; total?: number }
  error?: string
  errorDetail?: { message: string }
  aux?: { Tag: string; Digest: string; Size: number }
}
