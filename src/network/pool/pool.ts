// Prepared namespaces: made ahead while nothing is being launched, so that a container joins without a kernel call.
import type { GivenAddresses } from "../ipam/addressing.ts"

/** A namespace that the launcher holds, with its first interface on a network. */
export interface Prepared {
  readonly held: string
  /** Name of the link's end on this host, "" if it has none. */
  readonly link: string
  /** Name of the interface inside, and its index there. */
  readonly interfaceName: string
  readonly interfaceIndex: number
  readonly addresses: GivenAddresses
  readonly macAddress: string
}

export interface PoolOptions {
  readonly create: () => Promise<Prepared>
  readonly drop: (entries: readonly Prepared[]) => Promise<void>
  /** Called when preparing fails; the pool then rests until the next launch. */
  readonly failed: (error: unknown) => void
  readonly smallest?: number
  readonly largest?: number
  /** Whether it is filled before anybody has asked (yes). */
  readonly eager?: boolean
  /** Whether the engine's pools together may hold one more (yes). */
  readonly hasRoom?: () => boolean
  /** Milliseconds without a launch after which the next namespace is made. */
  readonly quiet?: number
  /** Milliseconds without demand until it shrinks to the smallest size, and until it is let go entirely. */
  readonly shrinkAfter?: number
  readonly emptyAfter?: number
}

/** A launch that takes longer than this no longer holds up refilling, milliseconds. */
const STUCK = 5000

/**
 * Its size follows demand: doubled whenever it runs empty, back to the smallest after a minute, nothing after ten.
 * `take` and `begin`/`end` are synchronous bookkeeping.
 */
export class Pool {
  readonly #options: Required<PoolOptions>
  readonly #launches = new Map<string, number>()
  #ready: Prepared[] = []
  #target: number
  #filling: Promise<void> | undefined
  #refill: NodeJS.Timeout | undefined
  #idle: NodeJS.Timeout | undefined
  /** When one was last asked for, unix milliseconds. */
  #demanded = Date.now()
  #closed = false

  constructor(options: PoolOptions) {
    this.#options = {
      smallest: 2,
      largest: 16,
      quiet: 3,
      shrinkAfter: 60_000,
      emptyAfter: 600_000,
      eager: true,
      hasRoom: () => true,
      ...options,
    }
    this.#target = this.#options.eager ? this.#options.smallest : 0
    if (this.#options.eager) this.#idle = this.#watchIdle(this.#options.shrinkAfter)
  }

  /** Number of namespaces that are ready. */
  get size(): number {
    return this.#ready.length
  }

  /** A prepared namespace that fits, or undefined when the caller has to make one itself. */
  take(fits: (entry: Prepared) => boolean = () => true): Prepared | undefined {
    const index = this.#ready.findIndex(fits)
    const [taken] = index < 0 ? [] : this.#ready.splice(index, 1)
    if (this.#ready.length === 0)
      this.#target = Math.min(this.#options.largest, Math.max(this.#options.smallest, this.#target * 2))
    this.#demanded = Date.now()
    this.#idle ??= this.#watchIdle(this.#options.shrinkAfter)
    return taken
  }

  /** A launch is under way; `end` must follow. */
  begin(launch: string): void {
    this.#launches.set(launch, Date.now())
  }
  end(launch: string): void {
    if (this.#launches.delete(launch)) this.schedule()
  }

  /** Refills soon, once nothing is being launched. */
  schedule(): void {
    clearTimeout(this.#refill)
    if (this.#closed || this.#ready.length >= this.#target) return
    this.#refill = setTimeout(() => this.#fill(), this.#options.quiet)
    this.#refill.unref()
  }

  /** Resolves when no namespace is being made (tests, close). */
  async settled(): Promise<void> {
    await this.#filling
  }

  #busy(): boolean {
    const old = Date.now() - STUCK
    for (const [launch, since] of this.#launches) if (since < old) this.#launches.delete(launch)
    return this.#launches.size > 0
  }

  #wantsMore(): boolean {
    return !this.#closed && this.#ready.length < this.#target && this.#options.hasRoom()
  }

  #fill(): void {
    if (this.#filling) return
    const work = async (): Promise<void> => {
      while (this.#wantsMore() && !this.#busy()) {
        const made = await this.#options.create()
        if (this.#closed) await this.#options.drop([made])
        else this.#ready.push(made)
      }
    }
    this.#filling = work()
      .catch((error: unknown) => this.#options.failed(error))
      .finally(() => {
        this.#filling = undefined
      })
  }

  #watchIdle(delay: number): NodeJS.Timeout {
    const timer = setTimeout(() => {
      this.#idle = this.#shrink()
    }, delay)
    timer.unref()
    return timer
  }

  /** Shrinks as far as the time without demand allows; gives the timer of the next look, if one is due. */
  #shrink(): NodeJS.Timeout | undefined {
    const { shrinkAfter, emptyAfter, smallest } = this.#options
    const quiet = Date.now() - this.#demanded + 1
    if (quiet < shrinkAfter) return this.#watchIdle(shrinkAfter - quiet)
    const empty = quiet >= emptyAfter
    this.#target = empty ? 0 : Math.min(this.#target, smallest)
    const surplus = this.#ready.splice(this.#target)
    if (surplus.length > 0) void this.#options.drop(surplus).catch(this.#options.failed)
    return empty ? undefined : this.#watchIdle(emptyAfter - quiet)
  }

  /** Gives up what it has: the caller lets it go. */
  empty(): Prepared[] {
    return this.#ready.splice(0)
  }

  /** Forgets namespaces that the launcher no longer holds. */
  keepOnly(held: ReadonlySet<string>): Prepared[] {
    const gone = this.#ready.filter((entry) => !held.has(entry.held))
    this.#ready = this.#ready.filter((entry) => held.has(entry.held))
    return gone
  }

  /** Lets all of them go. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#refill)
    clearTimeout(this.#idle)
    await this.#filling
    const all = this.#ready.splice(0)
    if (all.length > 0) await this.#options.drop(all)
  }
}
