// Network namespaces that the launcher holds for this engine, by name: listed, and let go without anybody waiting.
import { errorMessage } from "../../base/errors.ts"
import type { Kernel } from "../../kernel/kernel.ts"

/** Namespaces that containers have taken over are let go together, this many milliseconds later. */
const DROP_AFTER = 100

export class HeldNamespaces {
  readonly #kernel: Kernel
  readonly #prefix: string
  readonly #warn: (message: string) => void
  readonly #leaving: string[] = []
  #dropping: NodeJS.Timeout | undefined

  /** `prefix` tells this engine's names from those of others; it holds no ".". */
  constructor(kernel: Kernel, prefix: string, warn: (message: string) => void) {
    this.#kernel = kernel
    this.#prefix = `${prefix}.`
    this.#warn = warn
  }

  /** The name for a namespace with an address; `serial` makes it new. */
  nameFor(address: string, serial: string): string {
    return `${this.#prefix}${address}.${serial}`
  }
  /** The address in a name. */
  addressIn(name: string): string {
    return name.slice(this.#prefix.length, name.lastIndexOf("."))
  }

  async list(): Promise<string[]> {
    const names = (await this.#kernel.perform([["netns-list"]])).get("name") ?? []
    return names.filter((name) => name.startsWith(this.#prefix))
  }

  /** Lets namespaces go; each dies now, or with the last process in it. */
  async drop(names: readonly string[]): Promise<void> {
    if (names.length === 0) return
    await this.#kernel.perform([["netns-drop"], ...names.map((name) => ["name", name] as const)])
  }

  /** Lets a namespace go soon, in one request with others: a launch never waits for it. */
  dropSoon(name: string): void {
    this.#leaving.push(name)
    this.#dropping ??= setTimeout(() => {
      void this.close().catch((error: unknown) =>
        this.#warn(`could not let go of namespaces that containers took over: ${errorMessage(error)}`),
      )
    }, DROP_AFTER)
  }

  /** Lets go at once of what is to go soon. */
  async close(): Promise<void> {
    clearTimeout(this.#dropping)
    this.#dropping = undefined
    await this.drop(this.#leaving.splice(0))
  }
}
