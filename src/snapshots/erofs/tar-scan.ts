// Follows a layer's tar while its bytes pass: tells of every entry and where its bytes lie, keeps none of them.
// The same rules as the launcher's tar-read.c; names stay bytes (latin1 strings).
import { failure } from "../../base/errors.ts"
import { type Attribute, applyPax, noPax, type Pax } from "./pax.ts"
import { BodyMap, brokenMap, type Extent, isWholeMap, listedExtents, oldExtents } from "./sparse.ts"
import { tarNumber } from "./tar-number.ts"

export type LayerEntryKind = "file" | "hardlink" | "symlink" | "character" | "block" | "directory" | "fifo"

export interface LayerEntry {
  readonly kind: LayerEntryKind
  readonly name: string
  readonly link: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly major: number
  readonly minor: number
  /** Unix seconds, and nanoseconds. */
  readonly mtime: readonly [number, number]
  /** Of the file, holes included. */
  readonly size: number
  /** Where the stored bytes begin in the tar, a multiple of 512, and how many there are. */
  readonly start: number
  readonly stored: number
  /** Of a sparse file; its pieces lie one after the other from `start`. */
  readonly extents?: readonly Extent[]
  readonly attributes: readonly Attribute[]
}

const blockSize = 512
const longestExtended = 1 << 20
const mostGlobalHeaders = 16
/** Where a body may end at most. */
const longestTar = 2 ** 52

const kinds: Readonly<Record<number, LayerEntryKind>> = {
  0: "file",
  48: "file",
  49: "hardlink",
  50: "symlink",
  51: "character",
  52: "block",
  53: "directory",
  54: "fifo",
  55: "file",
  83: "file",
}
const [longLink, longName, oldSparse, volumes, pax, solarisPax, globalPax] = [
  0x4b, 0x4c, 0x53, 0x4d, 0x78, 0x58, 0x67,
]

/** The block that is looked at, as bytes and as words: four bytes at a time are summed. */
const blockBytes = new Uint8Array(blockSize)
const blockWords = new Int32Array(blockBytes.buffer)
const [checksumAt, checksumEnd] = [148 / 4, 156 / 4]

const isZero = (block: Uint8Array): boolean => {
  if (block[0] !== 0) return false
  for (let at = 0; at < blockSize; at++) if (block[at] !== 0) return false
  return true
}

const textAt = (block: Buffer, at: number, length: number): string => {
  let end = at
  while (end < at + length && block[end] !== 0) end++
  return block.toString("latin1", at, end)
}

const checksumHolds = (block: Uint8Array): boolean => {
  blockBytes.set(block)
  blockWords.fill(0, checksumAt, checksumEnd)
  // Two sums of 16 bits, which 256 bytes each do not fill.
  let sums = 0
  for (let at = 0; at < blockSize / 4; at++) {
    const word = blockWords[at] ?? 0
    sums = (sums + (word & 0xff00ff) + ((word >>> 8) & 0xff00ff)) | 0
  }
  const sum = 8 * 0x20 + (sums & 0xffff) + (sums >>> 16)
  const said = tarNumber(block, 148, 8)
  if (said === sum) return true
  // Some old writers summed signed bytes.
  let high = 0
  for (const byte of blockBytes) if (byte > 127) high++
  return said === sum - 256 * high
}

/** How a name is shown in messages. */
export const shown = (name: string): string => Buffer.from(name.slice(0, 300), "latin1").toString()

/** Begin of the message of every refusal. */
export const refusal = (text: string) => failure("invalid", `the layer cannot be unpacked: ${text}`)

type Step = "header" | "extended" | "old-map" | "body-map" | "end"

export class TarScan {
  readonly #onEntry: (entry: LayerEntry) => void
  /** Bytes of the tar that have passed. */
  #total = 0
  /** Bytes to pass over before the next block is looked at. */
  #skip = 0
  #carry: Buffer = Buffer.alloc(blockSize)
  #carried = 0
  #step: Step = "header"
  #zeroBlocks = 0
  #concerns: string | undefined

  #extended: { kind: number; parts: Buffer; filled: number; padding: number } | undefined
  #global: Pax = noPax
  #globalCount = 0
  #globalBytes = 0
  #local: Pax | undefined
  #longName: string | undefined
  #longLink: string | undefined
  #pending: { entry: LayerEntry; extents: readonly Extent[]; left: number; map: BodyMap } | undefined

  constructor(onEntry: (entry: LayerEntry) => void) {
    this.#onEntry = onEntry
  }

  /** Throws Failure "invalid" for what is no tar, or not a whole one. */
  write(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#step === "end") {
        this.#total += chunk.length - at
        return
      }
      if (this.#skip > 0) {
        const part = Math.min(this.#skip, chunk.length - at)
        this.#skip -= part
        this.#total += part
        at += part
        continue
      }
      if (this.#step === "extended" && this.#extended !== undefined) {
        const part = Math.min(this.#extended.parts.length - this.#extended.filled, chunk.length - at)
        chunk.copy(this.#extended.parts, this.#extended.filled, at, at + part)
        this.#extended.filled += part
        this.#total += part
        at += part
        if (this.#extended.filled === this.#extended.parts.length) this.#finishExtended(this.#extended)
        continue
      }
      let block = chunk
      let from = at
      if (this.#carried > 0 || chunk.length - at < blockSize) {
        const part = Math.min(blockSize - this.#carried, chunk.length - at)
        chunk.copy(this.#carry, this.#carried, at, at + part)
        this.#carried += part
        at += part
        if (this.#carried < blockSize) return
        this.#carried = 0
        block = this.#carry
        from = 0
      } else at += blockSize
      this.#total += blockSize
      this.#block(block.subarray(from, from + blockSize))
    }
  }

  /** To be called after the last byte. Throws when the tar is cut off. */
  end(): void {
    if (this.#carried > 0) throw this.#damaged("it ends in the middle of a header")
    if (this.#step === "extended") throw this.#damaged("it ends in the middle of an extended header")
    if (this.#skip > 0 || this.#pending !== undefined) throw this.#damaged("it ends before the entry does")
  }

  #damaged(what: string) {
    return refusal(
      this.#concerns === undefined
        ? `the tar is damaged after ${this.#total} bytes: ${what}`
        : `the tar is damaged at the entry "${shown(this.#concerns)}": ${what}`,
    )
  }

  #block(block: Buffer): void {
    if (this.#step === "old-map") this.#oldMapBlock(block)
    else if (this.#step === "body-map") this.#bodyMapBlock(block)
    else if (!isZero(block)) this.#header(block)
    else if (++this.#zeroBlocks === 2) this.#step = "end"
  }

  #header(block: Buffer): void {
    if (this.#zeroBlocks > 0) throw this.#damaged("an entry follows a block of zeros")
    if (!checksumHolds(block)) throw this.#damaged("the checksum of the header after it is wrong")
    const size = tarNumber(block, 124, 12)
    if (size === undefined || size < 0) throw this.#damaged("the size in the header after it is malformed")
    const kind = block[156] ?? 0
    if ([longLink, longName, pax, solarisPax, globalPax].includes(kind)) this.#beginExtended(kind, size)
    else this.#entry(block, kind, size)
  }

  #beginExtended(kind: number, size: number): void {
    if (size > longestExtended) throw this.#damaged("an extended header is too long")
    const padding = -size & (blockSize - 1)
    this.#extended = { kind, parts: Buffer.alloc(size), filled: 0, padding }
    this.#step = "extended"
    if (size === 0) this.#finishExtended(this.#extended)
  }

  #finishExtended({ kind, parts, padding }: { kind: number; parts: Buffer; padding: number }): void {
    this.#extended = undefined
    this.#step = "header"
    this.#skip = padding
    if (kind === longName) this.#longName = textAt(parts, 0, parts.length)
    else if (kind === longLink) this.#longLink = textAt(parts, 0, parts.length)
    else {
      if (kind === globalPax) {
        this.#globalBytes += parts.length
        if (++this.#globalCount > mostGlobalHeaders || this.#globalBytes > longestExtended)
          throw this.#damaged("it has too many global headers")
      }
      const into: Pax = { ...this.#global }
      const wrong = applyPax(into, parts)
      if (wrong !== undefined) throw this.#damaged(wrong)
      this.#local = into
      if (kind === globalPax) {
        const { sparse: _, ...lasting } = into
        this.#global =
          into.sparse === undefined ? into : { ...lasting, sparse: { ...into.sparse, extents: [] } }
      }
    }
  }

  #entry(block: Buffer, kindByte: number, headerSize: number): void {
    const said = this.#local ?? this.#global
    const name = said.sparse?.name ?? said.path ?? this.#longName ?? headerName(block)
    this.#concerns = name
    if (name === "") throw this.#damaged("it has no name")
    if (kindByte === volumes) throw this.#damaged("it continues a file of another volume")
    const base = kinds[kindByte]
    const kind = base === "file" && name.endsWith("/") ? "directory" : base
    const numbers = this.#numbers(block, said, kind)
    const bodiless = kind !== undefined && kind !== "file"
    const stored = bodiless ? 0 : (said.size ?? headerSize)
    if (this.#total + stored > longestTar) throw this.#damaged("its size is out of range")
    const entry = {
      kind: kind ?? "file",
      name,
      link: said.link ?? this.#longLink ?? textAt(block, 157, 100),
      ...numbers,
      size: stored,
      start: this.#total,
      stored,
      attributes: said.attributes,
    }
    if (kind === "file" && (kindByte === oldSparse || said.sparse !== undefined)) {
      this.#sparse(block, entry, said, kindByte === oldSparse)
      return
    }
    if (kind !== undefined) this.#onEntry(entry)
    this.#finish(stored)
  }

  #numbers(block: Buffer, said: Pax, kind: LayerEntryKind | undefined) {
    const mode = tarNumber(block, 100, 8)
    const uid = tarNumber(block, 108, 8)
    const gid = tarNumber(block, 116, 8)
    const seconds = tarNumber(block, 136, 12)
    const device = kind === "character" || kind === "block"
    const major = device ? tarNumber(block, 329, 8) : 0
    const minor = device ? tarNumber(block, 337, 8) : 0
    if (mode === undefined || uid === undefined || gid === undefined || seconds === undefined)
      throw this.#damaged("a number in its header is malformed")
    if (major === undefined || minor === undefined) throw this.#damaged("its device number is malformed")
    const owner = said.uid ?? uid
    const group = said.gid ?? gid
    // 4294967295 would mean "leave as it is" to the kernel.
    if (owner < 0 || group < 0 || owner >= 0xffffffff || group >= 0xffffffff)
      throw this.#damaged("its owner is out of range")
    if (major < 0 || minor < 0 || major > 0xffffffff || minor > 0xffffffff)
      throw this.#damaged("its device number is out of range")
    const mtime: readonly [number, number] = said.mtime ?? [seconds, 0]
    // In base 256 the low bits count, whatever stands before them.
    const wide = ((block[100] ?? 0) & 0x80) !== 0
    const permissions = (wide ? block.readUInt16BE(106) : mode) & 0o7777
    return { mode: permissions, uid: owner, gid: group, major, minor, mtime }
  }

  #sparse(block: Buffer, entry: LayerEntry, said: Pax, old: boolean): void {
    if (old) {
      const realSize = tarNumber(block, 483, 12)
      const extents = oldExtents(block, 386, 4)
      if (realSize === undefined || realSize < 0 || extents === undefined) throw this.#damaged(brokenMap)
      this.#pending = { entry: { ...entry, size: realSize }, extents, left: entry.stored, map: new BodyMap() }
      if ((block[482] ?? 0) === 0) this.#finishSparse(extents)
      else this.#step = "old-map"
      return
    }
    const { sparse } = said
    if (sparse?.realSize === undefined) throw this.#damaged(brokenMap)
    const major = sparse.major ?? 0
    const left = entry.stored
    this.#pending = { entry: { ...entry, size: sparse.realSize }, extents: [], left, map: new BodyMap() }
    if (major === 1 && (sparse.minor ?? 0) === 0) this.#step = "body-map"
    else if (major !== 0) throw this.#damaged("the sparse format is not known")
    else this.#finishSparse(listedExtents(sparse))
    if (this.#step === "body-map" && left === 0) throw this.#damaged(brokenMap)
  }

  #oldMapBlock(block: Buffer): void {
    const more = oldExtents(block, 0, 21)
    const pending = this.#pending
    if (pending === undefined || more === undefined) throw this.#damaged(brokenMap)
    const extents = [...pending.extents, ...more]
    this.#pending = { ...pending, extents }
    if ((block[504] ?? 0) === 0) this.#finishSparse(extents)
  }

  #bodyMapBlock(block: Buffer): void {
    const pending = this.#pending
    if (pending === undefined || pending.left === 0) throw this.#damaged(brokenMap)
    const used = Math.min(pending.left, blockSize)
    const found = pending.map.add(block.subarray(0, used))
    this.#pending = { ...pending, left: pending.left - used }
    if (found !== "more") this.#finishSparse(found)
    else if (pending.left === used) throw this.#damaged(brokenMap)
  }

  #finishSparse(extents: readonly Extent[] | undefined): void {
    const pending = this.#pending
    this.#pending = undefined
    this.#step = "header"
    if (pending === undefined || extents === undefined) throw this.#damaged(brokenMap)
    const { entry, left } = pending
    if (!isWholeMap(extents, entry.size, left)) throw this.#damaged(brokenMap)
    this.#onEntry({ ...entry, start: this.#total, stored: left, extents })
    this.#finish(left)
  }

  /** The entry is told; its body and padding pass by. */
  #finish(stored: number): void {
    this.#skip = stored + ((blockSize - (stored % blockSize)) % blockSize)
    this.#local = undefined
    this.#longName = undefined
    this.#longLink = undefined
  }
}

/** The name in a header, with ustar's or star's prefix. */
const headerName = (block: Buffer): string => {
  const name = textAt(block, 0, 100)
  if (block.toString("latin1", 257, 263) !== "ustar\0" || block[345] === 0) return name
  const star = block.toString("latin1", 508, 512) === "tar\0"
  return `${textAt(block, 345, star ? 131 : 155)}/${name}`
}
