// Uploads: mounted from another repository where the registry has the bytes already, whole in one request when small,
// streamed into a session when large; a session that broke is asked how far it came and goes on from there.
import { failure } from "../base/errors.ts"
import { type Place, stepAt } from "./documents.ts"
import { type Answer, type Body, BrokenConnection } from "./http.ts"
import { cannot, refused, type Step } from "./refusal.ts"
import type { Timing, UploadSource } from "./registry-client.ts"
import { backOff, pause } from "./session.ts"

/** Blobs up to here go in one request. */
const smallBlob = 4 << 20
/** What a registry that refuses a larger request gets at once. */
const smallestChunk = 8 << 20

interface Upload {
  /** Where the next request goes. */
  readonly location: string
  /** Least bytes of a chunk that is not the last. */
  readonly least: number
}

const uploadOf = (answer: Answer, step: Step): Upload => {
  const location = answer.headers.location
  if (location === undefined)
    throw failure("unavailable", `${cannot(step)}: the registry opens an upload, but does not say where`)
  let url: URL
  try {
    url = new URL(location, answer.url)
  } catch {
    throw failure("unavailable", `${cannot(step)}: the registry opens an upload at no address`)
  }
  if (url.protocol !== answer.url.protocol && url.protocol !== "https:")
    throw failure(
      "unavailable",
      `${cannot(step)}: the registry opens an upload at an unprotected address (${url.origin})`,
    )
  const least = Number(answer.headers["oci-chunk-min-length"] ?? 0)
  return { location: url.href, least: Number.isSafeInteger(least) && least > 0 ? least : 0 }
}

const withDigest = (location: string, digest: string): string => {
  const url = new URL(location)
  url.searchParams.set("digest", digest)
  return url.href
}

/** The bytes from `from` to `end`, counted as they go out. */
const part = (source: UploadSource, from: number, end: number, progress: (at: number) => void): Body => ({
  size: end - from,
  async *open() {
    let at = from
    for await (const chunk of source.open(from)) {
      const fitting = chunk.subarray(0, end - at)
      at += fitting.length
      if (fitting.length > 0) yield fitting
      progress(at)
      if (at >= end) return
    }
  },
})

const mountOrBegin = async (
  place: Place,
  source: UploadSource,
  from: readonly string[],
  step: Step,
  signal?: AbortSignal,
): Promise<{ mountedFrom: string } | Upload> => {
  const begin = (query: string, scopes: readonly string[]) =>
    place.session.ask({
      method: "POST",
      path: `/v2/${place.path}/blobs/uploads/${query}`,
      scopes,
      step,
      accept: query === "" ? [202] : [201, 202, 400, 401, 403, 404, 405],
      signal,
    })
  for (const path of from) {
    const query = `?${new URLSearchParams({ mount: source.digest, from: path })}`
    const answer = await begin(query, [...place.scopes, `repository:${path}:pull`])
    answer.discard()
    if (answer.status === 201) return { mountedFrom: path }
    // It does not mount, but has opened an upload instead; what it refuses is tried without.
    if (answer.status === 202) return uploadOf(answer, step)
  }
  const answer = await begin("", place.scopes)
  answer.discard()
  return uploadOf(answer, step)
}

/** How far a session came, as the registry tells it; undefined when it does not know the session any more. */
const askProgress = async (
  place: Place,
  upload: Upload,
  step: Step,
  signal?: AbortSignal,
): Promise<{ at: number; upload: Upload } | undefined> => {
  const answer = await place.session.ask({
    method: "GET",
    path: upload.location,
    scopes: place.scopes,
    step,
    accept: [200, 202, 204, 400, 404, 405, 416],
    signal,
  })
  answer.discard()
  if (![200, 202, 204].includes(answer.status)) return undefined
  const range = /^(?:bytes=)?0-(\d+)$/.exec(String(answer.headers.range ?? ""))
  const at = range === null ? 0 : Number(range[1]) + 1
  const next = answer.headers.location === undefined ? upload : uploadOf(answer, step)
  // "0-0" is what both nothing and one byte look like: nothing is the safe reading, as the registry will say.
  return { at: at === 1 ? 0 : at, upload: next }
}

const finish = async (
  place: Place,
  upload: Upload,
  source: UploadSource,
  body: Body | undefined,
  step: Step,
  signal?: AbortSignal,
): Promise<void> => {
  const answer = await place.session.ask({
    method: "PUT",
    path: withDigest(upload.location, source.digest),
    headers: {
      "Content-Type": "application/octet-stream",
      ...(body === undefined ? { "Content-Length": "0" } : {}),
    },
    body,
    scopes: place.scopes,
    step,
    accept: [200, 201, 202, 204],
    once: true,
    signal,
  })
  answer.discard()
}

/** Sends everything into the session, going on where it broke. */
const stream = async (
  place: Place,
  timing: Timing,
  begun: Upload,
  source: UploadSource,
  progress: (at: number) => void,
  step: Step,
  signal?: AbortSignal,
): Promise<void> => {
  let upload = begun
  let at = 0
  let chunk = Number.POSITIVE_INFINITY
  let fruitless = 0
  while (at < source.size) {
    const end = Math.min(at + chunk, source.size)
    try {
      const answer = await place.session.ask({
        method: "PATCH",
        path: upload.location,
        headers: { "Content-Type": "application/octet-stream", "Content-Range": `${at}-${end - 1}` },
        body: part(source, at, end, progress),
        scopes: place.scopes,
        step,
        accept: [200, 201, 202, 204, 413],
        once: true,
        signal,
      })
      answer.discard()
      if (answer.status === 413) {
        // Something on the way takes no large requests.
        const smaller = Math.max(smallestChunk, upload.least)
        if (chunk <= smaller) throw await refused(answer, step)
        chunk = smaller
        continue
      }
      if (answer.headers.location === undefined)
        throw new BrokenConnection(`${cannot(step)}: the registry's answer to a part of it is none`, "ODD")
      upload = { ...uploadOf(answer, step), least: upload.least }
      at = end
      fruitless = 0
    } catch (error) {
      signal?.throwIfAborted()
      if (!(error instanceof BrokenConnection)) throw error
      if (++fruitless >= timing.attempts) throw error
      await pause(backOff(timing, fruitless), signal)
      const known = await askProgress(place, upload, step, signal)
      if (known === undefined) throw error
      if (known.at > at) fruitless = 0
      ;({ at, upload } = { at: known.at, upload: { ...known.upload, least: upload.least } })
    }
  }
  await finish(place, upload, source, undefined, step, signal)
}

/** As RemoteRepository.putBlob. The caller has asked already whether the registry has the blob. */
export const putBlob = async (
  place: Place,
  timing: Timing,
  source: UploadSource,
  options: { from: readonly string[]; progress?: (bytes: number) => void; signal?: AbortSignal },
): Promise<{ mountedFrom?: string }> => {
  const step = stepAt(place, `push the blob ${source.digest} to`)
  const progress = options.progress ?? (() => {})
  const { signal } = options
  for (let attempt = 1; ; attempt++) {
    const begun = await mountOrBegin(place, source, attempt === 1 ? options.from : [], step, signal)
    if ("mountedFrom" in begun) return begun
    try {
      if (source.size <= smallBlob)
        await finish(place, begun, source, part(source, 0, source.size, progress), step, signal)
      else await stream(place, timing, begun, source, progress, step, signal)
      return {}
    } catch (error) {
      signal?.throwIfAborted()
      if (!(error instanceof BrokenConnection) || attempt >= timing.attempts) throw error
      await pause(backOff(timing, attempt), signal)
    }
  }
}
