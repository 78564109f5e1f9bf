// Extended attributes of a layer's entries: which the file system would take, and what they do to the mode.

import { fileType } from "./inodes.ts"
import type { Attribute } from "./pax.ts"
import { refusal, shown } from "./tar-scan.ts"

/** Name spaces that EROFS knows, with their numbers on disk; the first that fits counts. */
const spaces: readonly (readonly [prefix: string, index: number, exact: boolean])[] = [
  ["user.", 1, false],
  ["system.posix_acl_access", 2, true],
  ["system.posix_acl_default", 3, true],
  ["trusted.", 4, false],
  ["security.", 6, false],
]
const longestName = 255
const longestValue = 65_535
/** What fits the count in an inode. */
const mostBytes = 12 + 4 * 65_534

export const opaqueAttribute: Attribute = { name: "trusted.overlay.opaque", value: Buffer.from("y") }

export const isOverlayAttribute = (name: string): boolean => /^(trusted|user)\.overlay(\.|$)/.test(name)

interface AccessList {
  /** Permission bits that the list gives the mode. */
  readonly mode: number
  /** Whether the mode says all that the list does. */
  readonly plain: boolean
}

/** Undefined when the kernel would refuse it. */
const parseAccessList = (value: Uint8Array): AccessList | undefined => {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.length)
  if (bytes.length < 4 || (bytes.length - 4) % 8 !== 0 || bytes.readUInt32LE(0) !== 2) return undefined
  let mode = 0
  let mask: number | undefined
  let plain = true
  let named = false
  let before = 0
  const seen = new Set<number>()
  for (let at = 4; at < bytes.length; at += 8) {
    const [tag, permissions] = [bytes.readUInt16LE(at), bytes.readUInt16LE(at + 2)]
    if (permissions > 7 || tag < before || ![1, 2, 4, 8, 16, 32].includes(tag)) return undefined
    const several = tag === 2 || tag === 8
    if (seen.has(tag) && !several) return undefined
    seen.add(tag)
    before = tag
    if (tag === 1) mode |= permissions << 6
    if (tag === 4) mode |= permissions << 3
    if (tag === 32) mode |= permissions
    if (tag === 16) mask = permissions
    if (several) named = true
    if (several || tag === 16) plain = false
  }
  if (!seen.has(1) || !seen.has(4) || !seen.has(32) || (named && mask === undefined)) return undefined
  return { mode: mask === undefined ? mode : (mode & ~0o070) | (mask << 3), plain }
}

/** What a write of the attribute does to an inode of this mode: the mode after it, and whether it is kept. */
const settle = (attribute: Attribute, mode: number): { mode: number; keep: boolean } => {
  const { name, value } = attribute
  const type = mode & 0o170000
  const refused = (why: string) => refusal(`the extended attribute "${shown(name)}" ${why}`)
  if (name === "security.capability") {
    const size = [0x02000000, 0x03000000].indexOf(
      Buffer.from(value).subarray(0, 4).length < 4 ? 0 : Buffer.from(value).readUInt32LE(0) & 0xff000000,
    )
    if ((size === 0 && value.length !== 20) || (size === 1 && value.length !== 24) || size < 0)
      throw refused("holds no capabilities")
  }
  if (!name.startsWith("system.posix_acl_")) return { mode, keep: true }
  if (type === fileType.symlink) return { mode, keep: false }
  if (value.length === 0) return { mode, keep: false }
  const list = parseAccessList(value)
  if (list === undefined) throw refused("holds no access control list")
  if (name === "system.posix_acl_default") {
    if (type !== fileType.directory) throw refused("belongs to directories only")
    return { mode, keep: true }
  }
  return { mode: (mode & ~0o777) | list.mode, keep: !list.plain }
}

/**
 * The attributes of an inode after `added` were written over `before`, and its mode. What the file system does not know is
 * left out, as unpacking does. Throws Failure "invalid" for what no kernel takes.
 */
export const writeAttributes = (
  before: readonly Attribute[],
  added: readonly Attribute[],
  startMode: number,
): { attributes: readonly Attribute[]; mode: number } => {
  let mode = startMode
  let attributes = before
  const type = mode & 0o170000
  const special = type !== fileType.file && type !== fileType.directory
  for (const attribute of added) {
    const { name, value } = attribute
    const space = spaces.find(([prefix, , exact]) => (exact ? name === prefix : name.startsWith(prefix)))
    if (space === undefined || (special && name.startsWith("user."))) continue
    if (name.length > longestName || value.length > longestValue || (!space[2] && name === space[0]))
      throw refusal(
        `the extended attribute "${shown(name)}" cannot be set: its name or value has a wrong length`,
      )
    const settled = settle(attribute, mode)
    mode = settled.mode
    attributes = attributes.filter((known) => known.name !== name)
    if (settled.keep) attributes = [...attributes, attribute]
  }
  return { attributes, mode }
}

/** The attributes as they follow an inode on disk; empty for none. */
export const encodeAttributes = (attributes: readonly Attribute[]): Buffer => {
  if (attributes.length === 0) return Buffer.alloc(0)
  const parts: Buffer[] = [Buffer.alloc(12)]
  for (const { name, value } of attributes) {
    const [prefix = "", index = 0, exact = false] =
      spaces.find(([text, , whole]) => (whole ? name === text : name.startsWith(text))) ?? []
    const suffix = exact ? "" : name.slice(prefix.length)
    const entry = Buffer.alloc(Math.ceil((4 + suffix.length + value.length) / 4) * 4)
    entry.writeUInt8(suffix.length, 0)
    entry.writeUInt8(index, 1)
    entry.writeUInt16LE(value.length, 2)
    entry.write(suffix, 4, "latin1")
    entry.set(value, 4 + suffix.length)
    parts.push(entry)
  }
  const bytes = Buffer.concat(parts)
  if (bytes.length > mostBytes) throw refusal("an entry has more extended attributes than an inode holds")
  return bytes
}
