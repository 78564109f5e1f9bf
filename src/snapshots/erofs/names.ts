// The directory entries of a layer: which name in which directory is which inode. Names lie as bytes in one arena, because a
// layer may have a million of them; they are found by hash and sorted at the end.
import { randomInt } from "node:crypto"

const longestName = 255

const larger = <T extends Int32Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>>(
  make: new (length: number) => T,
  old: T,
  least = 0,
): T => {
  const grown = new make(Math.max(old.length * 2, least))
  grown.set(old)
  return grown
}

export class Names {
  /** Entries so far, removed ones included. */
  #made = 0
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(1 << 14)
  #filled = 0
  #offset: Uint32Array<ArrayBuffer> = new Uint32Array(1024)
  #length: Uint8Array<ArrayBuffer> = new Uint8Array(1024)
  /** Of each entry; -1 where it was removed. */
  #directory: Int32Array<ArrayBuffer> = new Int32Array(1024)
  #inode: Int32Array<ArrayBuffer> = new Int32Array(1024)
  /** The last entry added to each directory plus one, and to each entry the one before it in its directory. */
  #last: Int32Array<ArrayBuffer> = new Int32Array(1024)
  #before: Int32Array<ArrayBuffer> = new Int32Array(1024)
  /** Index of an entry plus one, 0 for empty, -1 where one was removed. */
  #slots: Int32Array<ArrayBuffer> = new Int32Array(4096)
  #used = 0
  readonly #seed = randomInt(2 ** 32)
  count = 0

  find(directory: number, name: string): number | undefined {
    const slot = this.#slotOf(directory, name)
    return slot < 0 ? undefined : this.#inode[(this.#slots[slot] ?? 0) - 1]
  }

  /** The name (at most 255 latin1 characters) must not be there. */
  add(directory: number, name: string, inode: number): void {
    if ((this.#used + 1) * 2 > this.#slots.length) this.#rehash()
    const entry = this.#made++
    if (entry === this.#directory.length) {
      this.#directory = larger(Int32Array, this.#directory)
      this.#inode = larger(Int32Array, this.#inode)
      this.#before = larger(Int32Array, this.#before)
      this.#offset = larger(Uint32Array, this.#offset)
      this.#length = larger(Uint8Array, this.#length)
    }
    if (directory >= this.#last.length) this.#last = larger(Int32Array, this.#last, directory + 1)
    if (this.#filled + longestName > this.#bytes.length) this.#bytes = larger(Uint8Array, this.#bytes)
    for (let at = 0; at < name.length; at++) this.#bytes[this.#filled + at] = name.charCodeAt(at)
    this.#offset[entry] = this.#filled
    this.#length[entry] = name.length
    this.#filled += name.length
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
    this.count--
  }

  nameOf(entry: number): string {
    const from = this.#offset[entry] ?? 0
    return Buffer.from(this.#bytes.buffer, from, this.#length[entry] ?? 0).toString("latin1")
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

  /** Entries of one directory in the order of their names' bytes. */
  sorted(directory: number): number[] {
    return this.list(directory).sort((a, b) => this.#compare(a, b))
  }

  #compare(a: number, b: number): number {
    const [first, second] = [this.#offset[a] ?? 0, this.#offset[b] ?? 0]
    const [firstLength, secondLength] = [this.#length[a] ?? 0, this.#length[b] ?? 0]
    const common = Math.min(firstLength, secondLength)
    for (let at = 0; at < common; at++) {
      const difference = (this.#bytes[first + at] ?? 0) - (this.#bytes[second + at] ?? 0)
      if (difference !== 0) return difference
    }
    return firstLength - secondLength
  }

  #is(entry: number, directory: number, name: string): boolean {
    if (this.#directory[entry] !== directory || this.#length[entry] !== name.length) return false
    const from = this.#offset[entry] ?? 0
    for (let at = 0; at < name.length; at++) if (this.#bytes[from + at] !== name.charCodeAt(at)) return false
    return true
  }

  #slotOf(directory: number, name: string): number {
    let hash = this.#begin(directory)
    for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193)
    const mask = this.#slots.length - 1
    for (let slot = (hash ^ (hash >>> 15)) & mask; ; slot = (slot + 1) & mask) {
      const held = this.#slots[slot] ?? 0
      if (held === 0) return -1
      if (held > 0 && this.#is(held - 1, directory, name)) return slot
    }
  }

  #begin(directory: number): number {
    return Math.imul(directory + 1, 0x9e3779b1) ^ this.#seed
  }

  #place(entry: number): void {
    const mask = this.#slots.length - 1
    const from = this.#offset[entry] ?? 0
    const to = from + (this.#length[entry] ?? 0)
    let hash = this.#begin(this.#directory[entry] ?? 0)
    for (let at = from; at < to; at++) hash = Math.imul(hash ^ (this.#bytes[at] ?? 0), 0x01000193)
    let slot = (hash ^ (hash >>> 15)) & mask
    while ((this.#slots[slot] ?? 0) !== 0) slot = (slot + 1) & mask
    this.#slots[slot] = entry + 1
    this.#used++
  }

  #rehash(): void {
    const crowded = this.count * 4 > this.#slots.length
    this.#slots = new Int32Array(crowded ? this.#slots.length * 2 : this.#slots.length)
    this.#used = 0
    for (let entry = 0; entry < this.#made; entry++)
      if ((this.#directory[entry] ?? -1) >= 0) this.#place(entry)
  }
}
