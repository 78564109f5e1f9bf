// Where a container's own things lie on the host.
import { join } from "node:path"
import type { ContainerRecord } from "../state/state.ts"

interface Roots {
  readonly dataRoot: string
  readonly runRoot: string
}

/** DATA_ROOT/containers/ID: log and exit record. The monitor makes it when there is something to put into it. */
export const containerDirectory = (roots: Roots, id: string): string => join(roots.dataRoot, "containers", id)

/** RUN_ROOT/c/ID16: the monitor's socket, managed files. Short, because a socket's path holds 107 bytes. */
export const runDirectory = (roots: Roots, id: string): string => join(roots.runRoot, "c", id.slice(0, 16))

/** Where the exit record goes: what is removed at its end needs none that outlives the machine's power. */
export const recordDirectory = (roots: Roots, record: ContainerRecord): string =>
  record.config.autoRemove ? runDirectory(roots, record.id) : containerDirectory(roots, record.id)

export const logPath = (roots: Roots, id: string): string =>
  join(containerDirectory(roots, id), `${id}-json.log`)
