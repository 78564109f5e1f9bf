// An archive of images as it streams in: small members stay in memory, large ones become blobs; nothing is written elsewhere.

import { type DecompressionBounds, decompress } from "../../base/decompress.ts"
import { digestOf } from "../../base/digest-stream.ts"
import { failure } from "../../base/errors.ts"
import { readTar, type TarEntry } from "../../base/tar-reader.ts"
import type { ContentStore } from "../../content/content.ts"
import type { ScannedTar, Snapshotter } from "../../snapshots/snapshotter.ts"

export interface Archive {
  has(path: string): boolean
  /** A document of the archive, whole. Throws "invalid" when it is missing or too large. `what` says who asked. */
  read(path: string, what: string): Promise<Uint8Array>
  /** The digest of a member, which is in the content store when this returns. */
  store(path: string, what: string): Promise<{ digest: string; size: number }>
  /** What blobs of it amount to as layers, by digest, as far as they were followed while they came in. */
  readonly scanned: Map<string, ScannedTar>
}

type Member =
  | { readonly kind: "memory"; readonly bytes: Uint8Array; readonly digest: string }
  | { readonly kind: "blob"; readonly digest: string; readonly size: number }
  | { readonly kind: "link"; readonly target: string }

const smallMember = 1 << 20
const memoryBudget = 16 << 20
const mostMembers = 65_536
/** Names stay in memory too. */
const longestName = 4096
const namesBudget = 16 << 20
const longestChain = 16
const largeChunk = 1 << 20
/** One being filled, up to two being written, one between. */
const ringSize = 4
/** Of all layers together that are kept in memory until their turn comes. */
const mostEntries = 100_000

/** "a/./b/../c" as "a/c"; undefined when it leads out of the archive or to nothing. */
export const cleanPath = (path: string): string | undefined => {
  if (path.startsWith("/")) return undefined
  const parts: string[] = []
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue
    if (part !== "..") parts.push(part)
    else if (parts.pop() === undefined) return undefined
  }
  return parts.length === 0 ? undefined : parts.join("/")
}

const whole = async (entry: TarEntry): Promise<Uint8Array> => {
  const parts: Uint8Array[] = []
  for await (const chunk of entry.body) parts.push(chunk)
  return Buffer.concat(parts)
}

/**
 * The same bytes in large chunks, because clients send small ones and everything after this costs by the chunk. A chunk
 * stays as it is until the third one after it is asked for.
 */
async function* gathered(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const ring = Array.from({ length: ringSize }, () => Buffer.allocUnsafeSlow(largeChunk))
  let room = Buffer.alloc(0)
  let filled = 0
  for await (const chunk of source) {
    for (let done = 0; done < chunk.length; ) {
      if (filled === 0) {
        room = ring.shift() ?? Buffer.allocUnsafeSlow(largeChunk)
        ring.push(room)
      }
      const part = Math.min(largeChunk - filled, chunk.length - done)
      room.set(chunk.subarray(done, done + part), filled)
      done += part
      filled += part
      if (filled < largeChunk) continue
      yield room
      filled = 0
    }
  }
  if (filled > 0) yield room.subarray(0, filled)
}

/** Where a link leads, as a path of the archive. A hard link names its target from the root of the archive. */
const linkTarget = (entry: TarEntry, path: string): string | undefined =>
  entry.linkName.startsWith("/")
    ? undefined
    : cleanPath(
        entry.type === "symlink"
          ? `${path.split("/").slice(0, -1).join("/")}/${entry.linkName}`.replace(/^\//, "")
          : entry.linkName,
      )

/** Reads the whole archive. `suspect` learns of every blob that is written. Throws "invalid" for what is no archive. */
export const spoolArchive = async (
  { content, snapshots }: { content: ContentStore; snapshots: Snapshotter },
  tar: AsyncIterable<Uint8Array>,
  options: { bounds: DecompressionBounds; suspect: (blob: string) => void; signal?: AbortSignal | undefined },
): Promise<Archive> => {
  const members = new Map<string, Member>()
  let budget = memoryBudget
  let namesLeft = namesBudget
  const scanned = new Map<string, ScannedTar>()
  let entriesLeft = mostEntries

  const spool = async (entry: TarEntry): Promise<Member> => {
    if (entry.size <= smallMember && entry.size <= budget) {
      budget -= entry.size
      const bytes = await whole(entry)
      return { kind: "memory", bytes, digest: digestOf(bytes) }
    }
    const follower = snapshots.follow(entriesLeft)
    async function* followed() {
      for await (const chunk of entry.body) {
        follower?.write(chunk)
        yield chunk
      }
    }
    const { digest, size } = await content.ingest(followed(), { size: entry.size }, options.signal)
    options.suspect(digest)
    const found = follower?.finish()
    if (found !== undefined && !scanned.has(digest)) {
      scanned.set(digest, found)
      entriesLeft -= follower?.entries ?? 0
    }
    return { kind: "blob", digest, size }
  }
  const add = (path: string, member: Member): void => {
    const before = members.get(path)
    const same =
      before === undefined ||
      (before.kind === "link"
        ? member.kind === "link" && member.target === before.target
        : member.kind !== "link" && member.digest === before.digest)
    if (!same)
      throw failure("invalid", `the archive is ambiguous: it holds "${path}" twice, with different contents`)
    if (members.size >= mostMembers)
      throw failure("invalid", `the archive has more than ${mostMembers} members`)
    members.set(path, member)
  }

  for await (const entry of readTar(decompress(gathered(tar), "the archive", options.bounds))) {
    options.signal?.throwIfAborted()
    const path = cleanPath(entry.name)
    namesLeft -= entry.name.length + entry.linkName.length
    if (entry.name.length > longestName || entry.linkName.length > longestName || namesLeft < 0)
      throw failure("invalid", "the archive's members have names that are too long")
    // A member that nothing can refer to is of no use, and is not an error in itself.
    if (path === undefined) continue
    if (entry.type === "file") add(path, await spool(entry))
    else if (entry.type === "symlink" || entry.type === "hardlink") {
      const target = linkTarget(entry, path)
      if (target !== undefined) add(path, { kind: "link", target })
    }
  }

  const find = (path: string, what: string): Exclude<Member, { kind: "link" }> => {
    let clean = cleanPath(path)
    if (clean === undefined)
      throw failure("invalid", `${what} names "${path}", which leads out of the archive`)
    for (let step = 0; step < longestChain; step++) {
      const member = members.get(clean)
      if (member === undefined)
        throw failure("invalid", `${what} names "${path}", which is not in the archive`)
      if (member.kind !== "link") return member
      clean = member.target
    }
    throw failure("invalid", `${what} names "${path}", which is a link that never ends`)
  }

  return {
    scanned,
    has: (path) => members.has(path),
    async read(path, what) {
      const member = find(path, what)
      return member.kind === "memory" ? member.bytes : content.read(member.digest)
    },
    async store(path, what) {
      const member = find(path, what)
      if (member.kind === "blob") return member
      options.suspect(member.digest)
      async function* bytes() {
        if (member.kind === "memory") yield member.bytes
      }
      return content.ingest(bytes(), { digest: member.digest }, options.signal)
    },
  }
}
