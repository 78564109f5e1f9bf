// What every file of the engine works with: the rooms below, the containers by name, and what lives in memory only.
import { errorMessage } from "../base/errors.ts"
import type { KeyedMutex } from "../base/keyed-mutex.ts"
import { createLog } from "../base/log.ts"
import type { Events } from "../events/events.ts"
import type { Images } from "../images/images.ts"
import type { Kernel, KernelFeatures } from "../kernel/kernel.ts"
import type { Logs } from "../logs/logs.ts"
import type { Networks } from "../network/network.ts"
import type { Runtime } from "../runtime/runtime.ts"
import type { Snapshotter } from "../snapshots/snapshotter.ts"
import type { State } from "../state/state.ts"
import type { Volumes } from "../volumes/volumes.ts"
import type { Catalogue } from "./catalogue.ts"
import type { Reaper } from "./files/reap.ts"
import type { Live, LiveContainers } from "./live.ts"

export interface EngineRooms {
  readonly state: State
  readonly events: Events
  readonly kernel: Kernel
  readonly runtime: Runtime
  readonly networks: Networks
  readonly snapshots: Snapshotter
  readonly images: Images
  readonly volumes: Volumes
  readonly logs: Logs
}

export interface EngineConfiguration {
  /** Shown by info; default the host's name. */
  readonly name?: string
  /** Log driver and options of containers that ask for none. Default json-file, 10 MB by 5 files. */
  readonly logDriver?: string
  readonly logOptions?: Readonly<Record<string, string>>
  /** Seconds between the stop signal and the kill. Default 10. */
  readonly stopTimeout?: number
  /** Bytes that layers and blobs may take before dangling images are removed. Default no bound. */
  readonly diskBudget?: number | undefined
  /** Whether containers get the engine's init unless they say otherwise. Default no. */
  readonly init?: boolean
}

/** Cache of builds; it goes before any image when the disk budget is spent. */
export interface BuildCache {
  /** Gives back at least so many bytes if it has them, what was used least recently first. Bytes that came back. */
  trim(bytes: number): Promise<number>
}

export interface Context extends EngineRooms {
  readonly dataRoot: string
  readonly runRoot: string
  /** Name of the machine's present boot. */
  readonly boot: string
  readonly config: EngineConfiguration
  readonly buildCache: BuildCache | undefined
  readonly mutex: KeyedMutex
  readonly catalogue: Catalogue
  readonly live: LiveContainers
  readonly background: Background
  readonly reaper: Reaper
  /** Known once recover() has asked the kernel. */
  features: KernelFeatures | undefined
  closing: boolean
  /** Starts a container again whose restart policy asks for it. */
  relaunch(live: Live): Promise<void>
}

const log = createLog("engine")

/** Work that nobody waits for, except the engine's end. Its errors are logged. */
export class Background {
  readonly #pending = new Set<Promise<void>>()

  run(what: string, work: () => Promise<unknown>): Promise<void> {
    const promise = this.#guarded(what, work).finally(() => this.#pending.delete(promise))
    this.#pending.add(promise)
    return promise
  }

  async #guarded(what: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
    } catch (error) {
      log.warn(`${what} failed`, { error: errorMessage(error) })
    }
  }

  async settle(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending)
  }
}
