// Writes the EROFS index of a layer: superblock, inodes and directories; files' bytes stay in the layer's tar, its device 1.
//
//   0      empty
//   1024   superblock (128 bytes), then the slot of the tar as a device (128 bytes at 1152)
//   2048   copies of pieces of sparse files that cannot be used where they lie in the tar
//   …      metadata: the root's inode, then directories' blocks, each followed by inodes
//
// The tar's blocks follow those of the index in one range of addresses, so that a file is a plain run of blocks.
import { writeSync } from "node:fs"
import type { FileHandle } from "node:fs/promises"
import { failure } from "../../base/errors.ts"
import { encodeAttributes } from "./attributes.ts"
import {
  alignUp,
  blockSize,
  type DirectoryList,
  ImageLayout,
  inodeSize,
  inodeUnit,
  rootNumber,
} from "./image-layout.ts"
import { fileType } from "./inodes.ts"
import type { LayerTree } from "./layer-tree.ts"
import { type Chunk, type Copy, mapSparse, type SparseMap } from "./sparse-map.ts"
import { refusal } from "./tar-scan.ts"

const magic = 0xe0f5e1e2
const superblockAt = 1024
const deviceSlotSize = 128
const deviceSlotAt = superblockAt + 128
const dataAt = 2048
/** Files on disk are whole pages, so that the kernel never reads past their end. */
const pageSize = 4096
const featureModificationTime = 2
const featureChunkedFile = 4
const featureDeviceTable = 8
const layoutPlain = 0
const layoutInline = 2
const layoutChunks = 4
const chunkIndexes = 0x20
const noAddress = 0xffffffff
const bufferSize = 1 << 20

const directoryTypes: Readonly<Record<number, number>> = {
  [fileType.file]: 1,
  [fileType.directory]: 2,
  [fileType.character]: 3,
  [fileType.block]: 4,
  [fileType.fifo]: 5,
  [fileType.symlink]: 7,
}

/** Bytes at rising positions, written in large pieces; what is passed over is zeros. */
class Sink {
  readonly #file: FileHandle
  #buffer = Buffer.alloc(bufferSize)
  /** Byte of the file where the buffer begins. */
  #base: number
  #used = 0

  constructor(file: FileHandle, base: number) {
    this.#file = file
    this.#base = base
  }

  /** Room for `length` bytes at `position` of the file, which is never before the last one. */
  at(position: number, length: number): { buffer: Buffer; offset: number } {
    if (position + length - this.#base > this.#buffer.length) {
      this.flush()
      this.#buffer = length > bufferSize ? Buffer.alloc(length) : this.#buffer.fill(0)
      this.#base = position
    }
    this.#used = position + length - this.#base
    return { buffer: this.#buffer, offset: position - this.#base }
  }

  /** Synchronous: a megabyte into the page cache takes less than a turn of the event loop. */
  flush(): void {
    for (let done = 0; done < this.#used; )
      done += writeSync(this.#file.fd, this.#buffer, done, this.#used - done, this.#base + done)
    this.#used = 0
  }
}

const writeAll = async (file: FileHandle, bytes: Uint8Array, position: number): Promise<void> => {
  for (let done = 0; done < bytes.length; )
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten
}

const copyPieces = async (tar: FileHandle, index: FileHandle, copies: readonly Copy[]): Promise<void> => {
  const buffer = Buffer.allocUnsafe(bufferSize)
  for (const { from, to, length } of copies)
    for (let done = 0; done < length; ) {
      const { bytesRead } = await tar.read(buffer, 0, Math.min(bufferSize, length - done), from + done)
      if (bytesRead === 0) throw failure("internal", "the layer's tar was cut short while it was read")
      await writeAll(index, buffer.subarray(0, bytesRead), to + done)
      done += bytesRead
    }
}

const writeDirectory = (
  sink: Sink,
  at: number,
  list: DirectoryList,
  numberOf: (inode: number) => number,
  typeOf: (inode: number) => number,
): void => {
  for (const [index, first] of list.blocks.entries()) {
    const last = list.blocks[index + 1] ?? list.names.length
    const { buffer, offset } = sink.at(at + index * blockSize, blockSize)
    let nameAt = (last - first) * 12
    for (let entry = first; entry < last; entry++) {
      const place = offset + (entry - first) * 12
      const [name = "", inode = 0] = [list.names[entry], list.inodes[entry]]
      const number = numberOf(inode)
      writeWide(buffer, number, place)
      buffer.writeUInt16LE(nameAt, place + 8)
      buffer[place + 10] = directoryTypes[typeOf(inode)] ?? 0
      buffer.write(name, offset + nameAt, "latin1")
      nameAt += name.length
    }
  }
}

/** 64 bits, two's complement; faster than by way of a bigint. */
const writeWide = (buffer: Buffer, value: number, offset: number): void => {
  buffer.writeUInt32LE(((value % 2 ** 32) + 2 ** 32) % 2 ** 32, offset)
  buffer.writeInt32LE(Math.floor(value / 2 ** 32), offset + 4)
}

const chunkAddress = (chunk: Chunk): [device: number, block: number] =>
  chunk.kind === "hole" ? [0, noAddress] : chunk.kind === "tar" ? [1, chunk.block] : [0, chunk.block]

interface Geometry {
  /** Byte where the metadata begins. */
  readonly metadataAt: number
  /** Block at which the tar's blocks begin. */
  readonly tarBlock: number
}

const writeInode = (
  sink: Sink,
  tree: LayerTree,
  layout: ImageLayout,
  sparse: SparseMap | undefined,
  geometry: Geometry,
  inode: number,
  serial: number,
): void => {
  const { inodes } = tree
  const type = inodes.typeOf(inode)
  const attributes = encodeAttributes(tree.attributes.get(inode) ?? [])
  const target = tree.targets.get(inode)
  const inline = target !== undefined && layout.isInline(inode)
  const chunks = sparse?.chunks ?? []
  const tail = inodeSize + attributes.length
  const chunksAt = alignUp(tail, 8)
  const length = inline ? tail + target.length : sparse === undefined ? tail : chunksAt + chunks.length * 8
  const position = geometry.metadataAt + layout.positionOf(inode)
  const { buffer, offset } = sink.at(position, length)
  const place = inodes.place[inode] ?? 0
  const size = target === undefined ? (inodes.size[inode] ?? 0) : target.length
  let address = 0
  if (type === fileType.file) address = size === 0 ? 0 : geometry.tarBlock + place / blockSize
  else if (type === fileType.directory || (target !== undefined && !inline))
    address = (geometry.metadataAt + layout.blocksOf(inode)) / blockSize
  else if (target === undefined) address = place
  if (sparse !== undefined) address = chunkIndexes | (Math.log2(sparse.chunkSize) - 9)
  const data = inline ? layoutInline : sparse === undefined ? layoutPlain : layoutChunks
  buffer.writeUInt16LE(1 | (data << 1), offset)
  buffer.writeUInt16LE(attributes.length === 0 ? 0 : (attributes.length - 12) / 4 + 1, offset + 2)
  buffer.writeUInt16LE(inodes.mode[inode] ?? 0, offset + 4)
  writeWide(buffer, size, offset + 8)
  buffer.writeUInt32LE(address, offset + 16)
  buffer.writeUInt32LE(serial, offset + 20)
  buffer.writeUInt32LE(inodes.uid[inode] ?? 0, offset + 24)
  buffer.writeUInt32LE(inodes.gid[inode] ?? 0, offset + 28)
  writeWide(buffer, inodes.seconds[inode] ?? 0, offset + 32)
  buffer.writeUInt32LE(inodes.nanoseconds[inode] ?? 0, offset + 40)
  buffer.writeUInt32LE(layout.linkCounts[inode] ?? 1, offset + 44)
  attributes.copy(buffer, offset + inodeSize)
  if (inline) buffer.write(target, offset + tail, "latin1")
  for (const [index, chunk] of chunks.entries()) {
    const [device, block] = chunkAddress(chunk)
    buffer.writeUInt16LE(device, offset + chunksAt + index * 8 + 2)
    buffer.writeUInt32LE(block, offset + chunksAt + index * 8 + 4)
  }
  if (target === undefined || inline) return
  const outside = sink.at(geometry.metadataAt + layout.blocksOf(inode), target.length)
  outside.buffer.write(target, outside.offset, "latin1")
}

const superblock = (parts: {
  geometry: Geometry
  inodes: number
  blocks: number
  tarBlocks: number
  uuid: Uint8Array
  seconds: number
}): Buffer => {
  const bytes = Buffer.alloc(dataAt - superblockAt)
  bytes.writeUInt32LE(magic, 0)
  bytes.writeUInt32LE(featureModificationTime, 8)
  bytes.writeUInt8(9, 12)
  bytes.writeUInt16LE(rootNumber, 14)
  bytes.writeBigUInt64LE(BigInt(parts.inodes), 16)
  bytes.writeBigUInt64LE(BigInt(parts.seconds), 24)
  bytes.writeUInt32LE(parts.blocks, 36)
  bytes.writeUInt32LE(parts.geometry.metadataAt / blockSize, 40)
  bytes.set(parts.uuid.subarray(0, 16), 48)
  bytes.writeUInt32LE(featureChunkedFile | featureDeviceTable, 80)
  bytes.writeUInt16LE(1, 86)
  bytes.writeUInt16LE(deviceSlotAt / deviceSlotSize, 88)
  const slot = deviceSlotAt - superblockAt
  bytes.writeUInt32LE(parts.tarBlocks, slot + 64)
  bytes.writeUInt32LE(parts.geometry.tarBlock, slot + 68)
  return bytes
}

/**
 * Writes the index of `tree` into the empty file `index`. `tar` is the layer's tar, `tarBytes` long, needed when files are sparse; `uuid` (16 bytes)
 * must differ from other layers'. Throws Failure "invalid" when the layer is too large for the format.
 */
export const writeImage = async (
  index: FileHandle,
  tree: LayerTree,
  tar: FileHandle | undefined,
  options: { tarBytes: number; uuid: Uint8Array; seconds: number },
): Promise<void> => {
  const { inodes } = tree
  const sparse = new Map<number, SparseMap>()
  let free = dataAt
  for (const [inode, extents] of tree.extents) {
    const file = { size: inodes.size[inode] ?? 0, start: inodes.place[inode] ?? 0, extents }
    const mapped = mapSparse(file, free)
    free = mapped.free
    sparse.set(inode, mapped.map)
    if (tar === undefined) throw failure("internal", "an index was asked for without the tar that it needs")
    await copyPieces(tar, index, mapped.copies)
  }
  const layout = new ImageLayout(tree, sparse)
  await layout.place()
  const metadataAt = alignUp(free, blockSize)
  const bytes = alignUp(metadataAt + layout.size, pageSize)
  const tarBlocks = Math.ceil(options.tarBytes / blockSize)
  const geometry = { metadataAt, tarBlock: bytes / blockSize }
  if (geometry.tarBlock + tarBlocks >= noAddress)
    throw refusal(`the layer's tar of ${options.tarBytes} bytes is too large`)
  const sink = new Sink(index, metadataAt)
  let serial = 0
  const write = (inode: number) =>
    writeInode(sink, tree, layout, sparse.get(inode), geometry, inode, ++serial)
  const numberOf = (inode: number) => layout.positionOf(inode) / inodeUnit
  write(0)
  await layout.walk({
    directory: (inode, list) =>
      writeDirectory(sink, metadataAt + layout.blocksOf(inode), list, numberOf, (child) =>
        inodes.typeOf(child),
      ),
    inode: write,
  })
  sink.flush()
  await index.truncate(bytes)
  const head = superblock({
    geometry,
    inodes: layout.inodeCount,
    blocks: geometry.tarBlock,
    tarBlocks,
    uuid: options.uuid,
    seconds: options.seconds,
  })
  await writeAll(index, head, superblockAt)
}
