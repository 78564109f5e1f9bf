// One 512-byte tar header, both ways: ustar, GNU and the numbers that do not fit octal.
import { failure } from "./errors.ts"

export const blockSize = 512

export type TarType =
  | "file"
  | "hardlink"
  | "symlink"
  | "character-device"
  | "block-device"
  | "directory"
  | "fifo"
  | "pax"
  | "pax-global"
  | "gnu-name"
  | "gnu-link"
  | "other"

export interface TarHeader {
  readonly name: string
  readonly type: TarType
  /** Bytes of the body that follows. */
  readonly size: number
  readonly linkName: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Unix seconds. */
  readonly mtime: number
}

const types: Readonly<Record<string, TarType>> = {
  "\0": "file",
  "0": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "character-device",
  "4": "block-device",
  "5": "directory",
  "6": "fifo",
  "7": "file",
  x: "pax",
  g: "pax-global",
  L: "gnu-name",
  K: "gnu-link",
}

const utf8 = new TextDecoder("utf-8", { fatal: true })

/** UTF-8 text up to the first NUL. Throws Failure "invalid" for other bytes. */
export const tarText = (bytes: Uint8Array): string => {
  const end = bytes.indexOf(0)
  try {
    return utf8.decode(end < 0 ? bytes : bytes.subarray(0, end))
  } catch (cause) {
    throw failure("invalid", "the tar archive holds a name that is not UTF-8", { cause })
  }
}

const field = (block: Uint8Array, offset: number, length: number): number => {
  const bytes = block.subarray(offset, offset + length)
  const first = bytes[0] ?? 0
  if ((first & 0x80) !== 0) {
    // GNU base-256: big endian, the first bit marks it, the second is the sign.
    if ((first & 0x40) !== 0) throw failure("invalid", "the tar archive holds a negative number")
    let value = first & 0x3f
    for (const byte of bytes.subarray(1)) value = value * 256 + byte
    if (!Number.isSafeInteger(value))
      throw failure("invalid", "the tar archive holds a number that is too large")
    return value
  }
  const text = Buffer.from(bytes)
    .toString("latin1")
    .replace(/[\0 ]+$/, "")
    .replace(/^ +/, "")
  if (text === "") return 0
  if (!/^[0-7]+$/.test(text))
    throw failure("invalid", "this is not a tar archive, or it is damaged: a header holds a malformed number")
  return Number.parseInt(text, 8)
}

/** mtime may be negative (before 1970) in base-256; its value matters to nobody who reads an image's archive. */
const time = (block: Uint8Array): number => (((block[136] ?? 0) & 0xc0) === 0xc0 ? 0 : field(block, 136, 12))

const checksum = (block: Uint8Array): number => {
  let sum = 8 * 32
  for (let at = 0; at < blockSize; at++) if (at < 148 || at >= 156) sum += block[at] ?? 0
  return sum
}

/** Decodes a block; undefined for a block of zeros (the end of the archive). Throws Failure "invalid". */
export const decodeHeader = (block: Uint8Array): TarHeader | undefined => {
  if (block.every((byte) => byte === 0)) return undefined
  if (field(block, 148, 8) !== checksum(block))
    throw failure("invalid", "this is not a tar archive, or it is damaged: the checksum of a header is wrong")
  const type = types[String.fromCharCode(block[156] ?? 0)] ?? "other"
  const posix = Buffer.from(block.subarray(257, 263)).toString("latin1") === "ustar\0"
  const prefix = posix ? tarText(block.subarray(345, 500)) : ""
  const name = tarText(block.subarray(0, 100))
  const bodiless = type === "hardlink" || type === "symlink" || type === "directory" || type === "fifo"
  const size = field(block, 124, 12)
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    type: type === "file" && name.endsWith("/") ? "directory" : type,
    size: bodiless || type === "character-device" || type === "block-device" ? 0 : size,
    linkName: tarText(block.subarray(157, 257)),
    mode: field(block, 100, 8),
    uid: field(block, 108, 8),
    gid: field(block, 116, 8),
    mtime: time(block),
  }
}

const typeFlags = { file: "0", symlink: "2", directory: "5", pax: "x", hardlink: "1" } as const
export type WritableType = keyof typeof typeFlags

/** Encodes a header. The caller has seen to it that names fit 100 bytes and numbers fit octal (tar-writer.ts). */
export const encodeHeader = (
  header: Omit<TarHeader, "type"> & { readonly type: WritableType },
): Uint8Array => {
  const block = Buffer.alloc(blockSize)
  const octal = (value: number, offset: number, length: number) =>
    block.write(value.toString(8).padStart(length - 1, "0"), offset, length - 1, "latin1")
  block.write(header.name, 0, 100, "utf8")
  octal(header.mode, 100, 8)
  octal(header.uid, 108, 8)
  octal(header.gid, 116, 8)
  octal(header.size, 124, 12)
  octal(header.mtime, 136, 12)
  block.write(typeFlags[header.type], 156, 1, "latin1")
  block.write(header.linkName, 157, 100, "utf8")
  block.write("ustar\x0000", 257, 8, "latin1")
  octal(checksum(block), 148, 7)
  block[155] = 0x20
  return block
}
