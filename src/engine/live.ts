// What the engine knows of a container only while it runs itself: task, waiting clients, timers.
import type { ExitRecord } from "../kernel/kernel.ts"
import type { Task } from "../runtime/runtime.ts"
import type { WaitCondition } from "./engine.ts"
import type { LateStream } from "./streams/late-stream.ts"

export interface Waiter {
  readonly condition: WaitCondition
  resolve(result: { exitCode: number; error?: string }): void
}

export interface PendingAttach {
  readonly stream: LateStream
  readonly streams: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean }
}

export interface Live {
  readonly id: string
  task?: Task
  /** Resolves when the present run has ended and its end is recorded. */
  ended?: Promise<void>
  /** Takes an end of the present run for granted that nobody will tell. */
  giveUp?: (exit: ExitRecord) => void
  /** Why the present run is being ended, when its monitor cannot know it. */
  endedBecause?: string
  readonly waiters: Set<Waiter>
  /** Attached before the start; connected by the next one. */
  readonly pending: Set<PendingAttach>
  /** The last run's teardown (network, cgroups); the next start and removal wait for it. */
  teardown?: Promise<void>
  /** That teardown tells of the networks and volumes that the run leaves; a removal after it need not. */
  tellsOfLeaving?: boolean
  restartTimer?: NodeJS.Timeout
  /** Milliseconds that the last automatic restart waited. */
  backoff: number
  /** `docker restart` of a --rm container keeps it. */
  keepOnExit: boolean
  /** Someone removes it right now. */
  removing: boolean
  stopHealth?: () => void
  /** The log of this run is sent on to somewhere. */
  forwarding?: { readonly controller: AbortController; readonly done: Promise<void> }
}

export class LiveContainers {
  readonly #containers = new Map<string, Live>()

  of(id: string): Live {
    let live = this.#containers.get(id)
    if (live === undefined) {
      live = {
        id,
        waiters: new Set(),
        pending: new Set(),
        backoff: 0,
        keepOnExit: false,
        removing: false,
      }
      this.#containers.set(id, live)
    }
    return live
  }

  find(id: string): Live | undefined {
    return this.#containers.get(id)
  }

  forget(id: string): void {
    this.#containers.delete(id)
  }

  list(): Live[] {
    return [...this.#containers.values()]
  }
}
