// The order in which a client must list files: every directory before what is in it, siblings by name, nothing twice.
import { failure } from "../../../base/errors.ts"

const LONGEST_PATH = 4096

export class EntryOrder {
  #last: Buffer | undefined
  /** Directories that what comes next may lie in, outermost first. */
  #open: string[] = []

  /** Throws invalid for a path that is unclean, out of order, or in a directory that was not listed. `mode` is st_mode. */
  check(path: string, mode: number): void {
    if (path.length > LONGEST_PATH || path === "" || /\0|^\/|\/$|(^|\/)(\.{0,2})(\/|$)/.test(path))
      throw failure("invalid", `the client lists a file by the path ${JSON.stringify(path.slice(0, 200))}`)
    // "/" sorts before every other byte.
    const key = Buffer.from(path.replaceAll("/", "\0"))
    if (this.#last !== undefined && Buffer.compare(this.#last, key) >= 0)
      throw failure("invalid", `the client lists ${JSON.stringify(path)} out of order`)
    this.#last = key
    const end = path.lastIndexOf("/")
    const parent = end < 0 ? undefined : path.slice(0, end)
    while (this.#open.length > 0 && this.#open.at(-1) !== parent) this.#open.pop()
    if (parent !== undefined && this.#open.length === 0)
      throw failure("invalid", `the client lists ${JSON.stringify(path)} without its directory`)
    if ((mode & 0o170000) === 0o040000) this.#open.push(path)
  }
}
