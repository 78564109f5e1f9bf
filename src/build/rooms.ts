// Contract. The rooms below that building needs, as the daemon opened them, and the places on the disk that are its own.
import type { ContentStore } from "../content/content.ts"
import type { Images } from "../images/images.ts"
import type { Kernel } from "../kernel/kernel.ts"
import type { Networks } from "../network/network.ts"
import type { Runtime } from "../runtime/runtime.ts"
import type { Snapshotter } from "../snapshots/snapshotter.ts"
import type { State } from "../state/state.ts"

export interface BuildRooms {
  readonly kernel: Kernel
  readonly state: State
  readonly content: ContentStore
  readonly snapshots: Snapshotter
  readonly runtime: Runtime
  readonly networks: Networks
  readonly images: Images
  /** DATA_ROOT/build: cache mounts, contexts and indexes; nobody else writes there. */
  readonly root: string
  /** RUN_ROOT/b: sockets and files of running steps (in memory where the run root is); short, as sockets' paths are. */
  readonly runRoot: string
}
