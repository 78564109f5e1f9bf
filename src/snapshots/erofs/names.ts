// The directory entries of a layer: which name in which directory is which inode. Found by hash, listed at the end.
import { randomInt } from "node:crypto"

const doubled = (old: Int32Array<ArrayBuffer>, least: number): Int32Array<ArrayBuffer> => {
  const larger = new Int32Array(Math.max(old.length * 2, least))
  larger.set(old)
  return larger
}

export class Names {
  readonly #name: string[] = []
  #directory = new Int32Array(1024)
  #inode = new Int32Array(1024)
  /** The last entry added to each directory plus one, and to each entry the one before it in its directory. */
  #last = new Int32Array(1024)
  #before = new Int32Array(1024)
  readonly #seed = randomInt(2 ** 32)
  /** Index of an entry plus one, 0 for empty, -1 where one was removed. */
  #slots = new Int32Array(4096)
  #used = 0
  count = 0

  find(directory: number, name: string): number | undefined {
    const slot = this.#slotOf(directory, name)
    return slot < 0 ? undefined : this.#inode[(this.#slots[slot] ?? 0) - 1]
  }

  /** The name must not be there. */
  add(directory: number, name: string, inode: number): void {
    if ((this.#used + 1) * 2 > this.#slots.length) this.#rehash()
    const entry = this.#name.length
    if (entry === this.#directory.length) {
      this.#directory = doubled(this.#directory, 0)
      this.#inode = doubled(this.#inode, 0)
      this.#before = doubled(this.#before, 0)
    }
    if (directory >= this.#last.length) this.#last = doubled(this.#last, directory + 1)
    this.#name.push(name)
    this.#before[entry] = this.#last[directory] ?? 0
    this.#last[directory] = entry + 1
    this.#directory[entry] = directory
    this.#inode[entry] = inode
    this.#place(entry)
    this.count++
  }

  remove(directory: number, name: string): void {
    const slot = this.#slotOf(directory, name)
    if (slot < 0) return
    const entry = (this.#slots[slot] ?? 0) - 1
    this.#slots[slot] = -1
    this.#directory[entry] = -1
    this.#name[entry] = ""
    this.count--
  }

  nameOf(entry: number): string {
    return this.#name[entry] ?? ""
  }

  inodeOf(entry: number): number {
    return this.#inode[entry] ?? 0
  }

  /** Entries of one directory, in no order. */
  list(directory: number): number[] {
    const entries: number[] = []
    for (let at = this.#last[directory] ?? 0; at > 0; at = this.#before[at - 1] ?? 0)
      if (this.#directory[at - 1] === directory) entries.push(at - 1)
    return entries
  }

  /** All entries by directory, each directory's sorted by its names' bytes: entries[first[d]] up to entries[first[d + 1]]. */
  sorted(directories: number): { first: Int32Array; entries: Int32Array } {
    const first = new Int32Array(directories + 1)
    const total = this.#name.length
    for (let entry = 0; entry < total; entry++) {
      const directory = this.#directory[entry] ?? -1
      if (directory >= 0) first[directory + 1] = (first[directory + 1] ?? 0) + 1
    }
    for (let at = 0; at < directories; at++) first[at + 1] = (first[at + 1] ?? 0) + (first[at] ?? 0)
    const next = first.slice()
    const entries = new Int32Array(this.count)
    for (let entry = 0; entry < total; entry++) {
      const directory = this.#directory[entry] ?? -1
      if (directory < 0) continue
      const place = next[directory] ?? 0
      entries[place] = entry
      next[directory] = place + 1
    }
    const compare = (a: number, b: number): number => (this.nameOf(a) < this.nameOf(b) ? -1 : 1)
    for (let at = 0; at < directories; at++) {
      const [from = 0, to = 0] = [first[at], first[at + 1]]
      if (to - from > 1) entries.subarray(from, to).sort(compare)
    }
    return { first, entries }
  }

  #hash(directory: number, name: string): number {
    let hash = Math.imul(directory + 1, 0x9e3779b1) ^ this.#seed
    for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193)
    return (hash ^ (hash >>> 15)) & (this.#slots.length - 1)
  }

  #slotOf(directory: number, name: string): number {
    for (let slot = this.#hash(directory, name); ; slot = (slot + 1) & (this.#slots.length - 1)) {
      const held = this.#slots[slot] ?? 0
      if (held === 0) return -1
      if (held > 0 && this.#directory[held - 1] === directory && this.#name[held - 1] === name) return slot
    }
  }

  #place(entry: number): void {
    const mask = this.#slots.length - 1
    let slot = this.#hash(this.#directory[entry] ?? 0, this.#name[entry] ?? "")
    while ((this.#slots[slot] ?? 0) !== 0) slot = (slot + 1) & mask
    this.#slots[slot] = entry + 1
    this.#used++
  }

  #rehash(): void {
    this.#slots = new Int32Array(
      this.count * 4 > this.#slots.length ? this.#slots.length * 2 : this.#slots.length,
    )
    this.#used = 0
    for (let entry = 0; entry < this.#name.length; entry++)
      if ((this.#directory[entry] ?? -1) >= 0) this.#place(entry)
  }
}
