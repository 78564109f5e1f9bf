// Links that are going: the kernel takes its time (it waits for every CPU), so that nobody waits for it.
import { errorMessage } from "../base/errors.ts"
import type { Kernel } from "../kernel/kernel.ts"
import { deleteLink } from "../kernel/netlink/netlink.ts"
import { routeRequest } from "./request.ts"

const isGone = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "ENODEV"

export class Removals {
  readonly #kernel: Kernel
  readonly #warn: (message: string) => void
  readonly #underway = new Map<string, Promise<void>>()

  constructor(kernel: Kernel, warn: (message: string) => void) {
    this.#kernel = kernel
    this.#warn = warn
  }

  /** Removes a link of the host behind the caller's back, and does what follows. One that is missing is no failure. */
  remove(name: string, then?: () => Promise<void>): void {
    const work = async (): Promise<void> => {
      await routeRequest(this.#kernel, [deleteLink({ name })]).catch((error: unknown) => {
        if (!isGone(error)) throw error
      })
      await then?.()
    }
    const removal = (this.#underway.get(name) ?? Promise.resolve())
      .then(work)
      .catch((error: unknown) =>
        this.#warn(`could not remove network interface ${name}: ${errorMessage(error)}`),
      )
      .finally(() => {
        if (this.#underway.get(name) === removal) this.#underway.delete(name)
      })
    this.#underway.set(name, removal)
  }

  /** Names of links that are being removed. */
  names(): string[] {
    return [...this.#underway.keys()]
  }

  /** Resolves when a name that is being removed is free. */
  async free(name: string): Promise<void> {
    await this.#underway.get(name)
  }

  /** Resolves when nothing is being removed. */
  async settled(): Promise<void> {
    await Promise.all(this.#underway.values())
  }
}
