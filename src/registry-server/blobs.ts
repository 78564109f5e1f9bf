// Blobs: read whole or in part, asked for, deleted. Distribution specification 1.1, "Pulling blobs".
import type { Exchange } from "./exchange.ts"
import { requireDigest } from "./names.ts"
import { Refusal } from "./refusal.ts"
import { contentOf, type Store } from "./store.ts"

export const unknownBlob = (digest: string): Refusal =>
  new Refusal("BLOB_UNKNOWN", "blob unknown to registry", { detail: { digest } })

/** One range of bytes; undefined for a header that is to be ignored (RFC 9110, section 14.2). Throws 416. */
const readRange = (header: string | undefined, size: number): { start: number; end: number } | undefined => {
  const [, first = "", last = ""] = /^bytes=(\d*)-(\d*)$/.exec(header ?? "") ?? []
  if (first === "" && last === "") return undefined
  const start = first === "" ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === "" || last === "" ? size : Math.min(size, Number(last) + 1)
  if (start >= size || start >= end)
    throw new Refusal("SIZE_INVALID", "the range lies outside of the blob", {
      status: 416,
      headers: { "Content-Range": `bytes */${size}` },
    })
  return { start, end }
}

/** A part of bytes that come from their beginning. */
async function* partOf(
  bytes: AsyncIterable<Uint8Array>,
  part: { start: number; end: number } | undefined,
): AsyncGenerator<Uint8Array> {
  let at = 0
  for await (const chunk of bytes) {
    const from = Math.max(0, (part?.start ?? 0) - at)
    const to = Math.min(chunk.length, (part?.end ?? Number.POSITIVE_INFINITY) - at)
    at += chunk.length
    if (from < to) yield chunk.subarray(from, to)
    if (part !== undefined && at >= part.end) return
  }
}

/** GET and HEAD. */
export const serveBlob = async (
  exchange: Exchange,
  { repositories, content, cache, images }: Store,
  repository: string,
  text: string,
): Promise<void> => {
  const digest = requireDigest(text)
  const record = repositories.blob(repository, digest) ?? repositories.manifest(repository, digest)
  const stored = record === undefined ? undefined : contentOf(record)
  const here = stored === undefined ? undefined : content.size(stored)
  const served = here === undefined ? images?.blob(repository, digest) : undefined
  const coming = (here ?? served) === undefined ? await cache?.fetch(repository, digest) : undefined
  const size = here ?? served?.size ?? coming?.size
  if (size === undefined) throw unknownBlob(digest)
  const open = (part?: { start: number; end: number }): AsyncIterable<Uint8Array> => {
    if (served !== undefined)
      return partOf(served.open(part?.start ?? 0), part && { start: 0, end: part.end - part.start })
    return coming === undefined ? content.open(stored ?? digest, part) : partOf(coming.bytes, part)
  }
  const headers = {
    "Content-Type": "application/octet-stream",
    "Docker-Content-Digest": digest,
    ETag: `"${digest}"`,
    "Accept-Ranges": "bytes",
    "Cache-Control": "max-age=31536000",
  }
  if (exchange.header("if-none-match") === headers.ETag) {
    exchange.empty(304, headers)
    return
  }
  const range = readRange(exchange.header("range"), size)
  if (range === undefined) await exchange.stream(200, { ...headers, "Content-Length": size }, open())
  else
    await exchange.stream(
      206,
      {
        ...headers,
        "Content-Length": range.end - range.start,
        "Content-Range": `bytes ${range.start}-${range.end - 1}/${size}`,
      },
      open(range),
    )
}

/** DELETE: the repository lets go of the blob; the bytes stay while another needs them. */
export const deleteBlob = (exchange: Exchange, store: Store, repository: string, text: string): void => {
  const digest = requireDigest(text)
  const removed = store.repositories.removeBlob(repository, digest)
  if (removed === undefined) throw unknownBlob(digest)
  store.released([contentOf(removed)])
  exchange.empty(202)
}
