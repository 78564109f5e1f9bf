// Directories disappear at once by a rename and are deleted later, many in one request, so that nobody waits for the disk.
import { mkdirSync, readdirSync, renameSync } from "node:fs"
import { join } from "node:path"
import { errorMessage } from "../../base/errors.ts"
import { newId } from "../../base/ids.ts"
import { createLog } from "../../base/log.ts"
import type { Kernel } from "../../kernel/kernel.ts"

const log = createLog("engine")
/** Time for more to come, and for the answers of what made the garbage. */
const delay = 150
const batch = 64

const isMissing = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "ENOENT"

export class Reaper {
  readonly #root: string
  readonly #kernel: Kernel
  readonly #waiting: string[] = []
  #timer: NodeJS.Timeout | undefined
  #working: Promise<void> = Promise.resolve()

  /** `root` is made when it is first needed; it lies on the file system of what is taken. */
  constructor(root: string, kernel: Kernel) {
    this.#root = root
    this.#kernel = kernel
  }

  /** Takes a directory away. Missing is fine. */
  take(path: string): void {
    const grave = join(this.#root, newId())
    try {
      renameSync(path, grave)
    } catch (error) {
      if (!isMissing(error)) throw error
      mkdirSync(this.#root, { recursive: true, mode: 0o700 })
      try {
        renameSync(path, grave)
      } catch (again) {
        if (isMissing(again)) return
        throw again
      }
    }
    this.#queue(grave)
  }

  /** Queues what an earlier engine left. */
  recover(): void {
    mkdirSync(this.#root, { recursive: true, mode: 0o700 })
    for (const name of readdirSync(this.#root)) this.#queue(join(this.#root, name))
  }

  /** Resolves when everything taken so far is gone, or could not be removed (then the next start tries again). */
  settle(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#working = this.#working.then(() => this.#work())
    return this.#working
  }

  #queue(grave: string): void {
    this.#waiting.push(grave)
    if (this.#timer !== undefined) return
    this.#timer = setTimeout(() => void this.settle(), delay)
    this.#timer.unref()
  }

  async #work(): Promise<void> {
    while (this.#waiting.length > 0) {
      const paths = this.#waiting.splice(0, batch)
      try {
        await this.#kernel.perform([["remove-tree"], ...paths.map((path) => ["path", path] as const)])
      } catch (error) {
        log.warn("removed directories could not be deleted yet", {
          paths: paths.length,
          error: errorMessage(error),
        })
      }
    }
  }
}
