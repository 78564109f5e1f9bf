// One lock per key: work on the same key runs in order of arrival, work on different keys does not wait.

export class KeyedMutex {
  readonly #tails = new Map<string, Promise<void>>()

  /** Runs `work` when every earlier work on `key` has settled; gives its result or error. */
  async run<T>(key: string, work: () => Promise<T> | T): Promise<T> {
    const release = await this.acquire(key)
    try {
      return await work()
    } finally {
      release()
    }
  }

  /** Waits for the key and returns the function that gives it back (calling it twice is harmless). */
  async acquire(key: string): Promise<() => void> {
    const previous = this.#tails.get(key)
    const { promise: mine, resolve: release } = Promise.withResolvers<void>()
    this.#tails.set(key, mine)
    if (previous !== undefined) await previous
    return () => {
      if (this.#tails.get(key) === mine) this.#tails.delete(key)
      release()
    }
  }

  /** Whether someone holds or awaits the key. */
  held(key: string): boolean {
    return this.#tails.has(key)
  }
}
