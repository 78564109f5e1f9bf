// Contract. Named and anonymous volumes of the local driver: directories that outlive containers.
import type { Mount, RootMount } from "../kernel/mount.ts"
import type { VolumeRecord } from "../state/state.ts"

export interface Volumes {
  /** Existing volume of that name with the same driver is returned as it is; name absent = anonymous. Options: type, o, device (local driver mounts). */
  create(request: {
    name?: string
    driver?: string
    options?: Readonly<Record<string, string>>
    labels?: Readonly<Record<string, string>>
    /** With a name: the name was made up by the caller. */
    anonymous?: boolean
  }): Promise<VolumeRecord>
  get(name: string): VolumeRecord
  find(name: string): VolumeRecord | undefined
  list(): VolumeRecord[]
  /** Host directory of the contents. */
  path(name: string): string
  /** `users` are container ids that use it: conflict unless empty. `force` ignores a missing volume. */
  remove(name: string, options: { force: boolean }, users: readonly string[]): Promise<void>
  prune(
    options: { all: boolean; labels: readonly string[] },
    inUse: (name: string) => boolean,
  ): Promise<{ removed: string[]; reclaimed: number }>
  usage(name: string): Promise<number>
  /** Copies what the image has at `path` into a volume that is still empty (Docker's copy-up). */
  populate(name: string, root: RootMount, path: string): Promise<void>
  /** The mount of a volume at a target: a bind, or the file system that its options ask for. */
  mount(name: string, target: string, options: { readOnly: boolean; subpath?: string }): Promise<Mount>
  recover(): Promise<void>
  /** Waits until the bytes of removed volumes are gone, or could not be removed (then the next start tries again). */
  settle(): Promise<void>
}

export { openVolumes } from "./local.ts"
