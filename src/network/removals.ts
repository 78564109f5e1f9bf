// Links that are going: the kernel takes its time over each removal and lets nobody else change links meanwhile, so that
// they go together, once nothing else has been asked for a moment, and nobody waits for it.
import { randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import { errorMessage } from "../base/errors.ts"
import type { Kernel } from "../kernel/kernel.ts"
import { deleteGroup, deleteLink, setGroup } from "../kernel/netlink/netlink.ts"
import { isRefusal, routeRequest } from "./request.ts"

/** Milliseconds without another removal after which they are done, and after which they are done anyhow. */
const QUIET = 40
const LATEST = 400

interface Removal {
  readonly name: string
  readonly then: () => Promise<void>
}

const exists = (name: string): boolean => existsSync(`/sys/class/net/${name}`)

export class Removals {
  readonly #kernel: Kernel
  readonly #warn: (message: string) => void
  #waiting: Removal[] = []
  #since = 0
  #timer: NodeJS.Timeout | undefined
  /** What is being removed now; one round follows the other. */
  #round: Promise<void> = Promise.resolve()
  readonly #names = new Map<string, number>()

  constructor(kernel: Kernel, warn: (message: string) => void) {
    this.#kernel = kernel
    this.#warn = warn
  }

  /** Removes a link of the host behind the caller's back, and does what follows. One that is missing is no failure. */
  remove(name: string, then: () => Promise<void> = async () => undefined): void {
    if (this.#waiting.length === 0) this.#since = Date.now()
    this.#waiting.push({ name, then })
    this.#names.set(name, (this.#names.get(name) ?? 0) + 1)
    clearTimeout(this.#timer)
    this.#timer = setTimeout(
      () => this.#begin(),
      Math.max(0, Math.min(QUIET, this.#since + LATEST - Date.now())),
    )
  }

  /** Starts a round with all that waits. */
  #begin(): void {
    clearTimeout(this.#timer)
    const removals = this.#waiting.splice(0)
    if (removals.length === 0) return
    this.#round = this.#round.then(() => this.#perform(removals))
  }

  async #perform(removals: readonly Removal[]): Promise<void> {
    const present = [...new Set(removals.map(({ name }) => name))].filter(exists)
    try {
      await this.#removeTogether(present)
    } catch {
      // One of them went by itself meanwhile: each on its own.
      for (const name of present.filter(exists)) await this.#removeOne(name)
    }
    for (const { name, then } of removals) {
      const count = (this.#names.get(name) ?? 1) - 1
      if (count === 0) this.#names.delete(name)
      else this.#names.set(name, count)
      await then().catch((error: unknown) =>
        this.#warn(`could not clear up after network interface ${name}: ${errorMessage(error)}`),
      )
    }
  }

  /** A group of links is removed with one wait for all. */
  async #removeTogether(names: readonly string[]): Promise<void> {
    if (names.length === 0) return
    const group = randomBytes(4).readUInt32LE() | 0x4000_0000
    await routeRequest(this.#kernel, [...names.map((name) => setGroup({ name }, group)), deleteGroup(group)])
  }

  async #removeOne(name: string): Promise<void> {
    await routeRequest(this.#kernel, [deleteLink({ name })]).catch((error: unknown) => {
      if (!isRefusal(error, "ENODEV"))
        this.#warn(`could not remove network interface ${name}: ${errorMessage(error)}`)
    })
  }

  /** Names of links that are being removed. */
  names(): string[] {
    return [...this.#names.keys()]
  }

  /** Resolves when a name that is being removed is free. */
  async free(name: string): Promise<void> {
    if (this.#names.has(name)) await this.settled()
  }

  /** Resolves when all that was asked for is done; does it at once. */
  async settled(): Promise<void> {
    this.#begin()
    await this.#round
  }
}
