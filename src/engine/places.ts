// Where a container's own things lie on the host.
import { join } from "node:path"

interface Roots {
  readonly dataRoot: string
  readonly runRoot: string
}

/** DATA_ROOT/containers/ID: log, exit record, managed files. */
export const containerDirectory = (roots: Roots, id: string): string => join(roots.dataRoot, "containers", id)

/** RUN_ROOT/c/ID16: the monitor's socket. Short, because a socket's path holds 107 bytes. */
export const runDirectory = (roots: Roots, id: string): string => join(roots.runRoot, "c", id.slice(0, 16))

export const logPath = (roots: Roots, id: string): string =>
  join(containerDirectory(roots, id), `${id}-json.log`)
