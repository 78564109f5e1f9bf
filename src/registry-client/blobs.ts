// Blobs as they come: one stream over as many connections as it takes, resumed by Range where the last one broke.
import { failure } from "../base/errors.ts"
import type { Descriptor } from "../oci/descriptor.ts"
import { isForeignLayerType } from "../oci/media-types.ts"
import { type Place, stepAt } from "./documents.ts"
import { type Answer, BrokenConnection, isCertificateTrouble } from "./http.ts"
import { cannot, type Step } from "./refusal.ts"
import type { Timing } from "./registry-client.ts"
import { backOff, pause } from "./session.ts"

/** A try that brought less than this counts as one that brought nothing, or a blob could come a byte at a time. */
const progressOf = (size: number): number => Math.min(64 * 1024, Math.ceil(size / 200))

const lie = (step: Step, what: string) => failure("invalid", `${cannot(step)}: ${what}`)

/** Checks that the answer holds the bytes from `at` on; gives how many of its first ones are to be passed over. */
const bytesBefore = (answer: Answer, at: number, size: number, step: Step): number => {
  const encoding = answer.headers["content-encoding"] ?? "identity"
  if (encoding !== "identity") throw lie(step, `the registry encodes it once more as "${encoding}"`)
  const length = answer.headers["content-length"]
  const announced = length === undefined ? undefined : Number(length)
  if (answer.status === 200) {
    if (announced !== undefined && announced !== size)
      throw lie(step, `the registry sends ${announced} bytes, but the manifest says ${size}`)
    return at
  }
  const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(String(answer.headers["content-range"] ?? ""))
  if (range === null || Number(range[1]) !== at || Number(range[2]) !== size - 1)
    throw lie(
      step,
      `asked for the bytes from ${at} on, the registry sends "${answer.headers["content-range"] ?? ""}"`,
    )
  if (range[3] !== "*" && Number(range[3]) !== size)
    throw lie(step, `the registry has ${range[3]} bytes, but the manifest says ${size}`)
  return 0
}

/** Addresses that a foreign layer names; nothing of the registry's goes there. */
const foreignPaths = (descriptor: Descriptor): readonly string[] =>
  isForeignLayerType(descriptor.mediaType)
    ? (descriptor.urls ?? []).filter((url) => /^https?:\/\//i.test(url))
    : []

export async function* readBlob(
  place: Place,
  timing: Timing,
  descriptor: Descriptor,
  from: number,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { digest, size } = descriptor
  const step = stepAt(place, `fetch the blob ${digest} of`)
  const paths = [`/v2/${place.path}/blobs/${digest}`, ...foreignPaths(descriptor)]
  let at = from
  let fruitless = 0
  let turn = 0
  const ask = async (): Promise<Answer> => {
    for (;;) {
      const path = paths[turn] ?? ""
      const more = turn + 1 < paths.length
      const answer = await place.session.ask({
        method: "GET",
        path,
        headers: at > 0 ? { Range: `bytes=${at}-` } : {},
        scopes: place.scopes,
        step,
        accept: [...(at > 0 ? [200, 206] : [200]), ...(more ? [403, 404] : [])],
        verified: true,
        signal,
      })
      if (answer.status === 200 || answer.status === 206) return answer
      answer.discard()
      turn++
    }
  }
  while (at < size) {
    const begun = at
    try {
      const answer = await ask()
      let skip: number
      try {
        skip = bytesBefore(answer, at, size, step)
      } catch (error) {
        answer.discard()
        throw error
      }
      for await (const chunk of answer.body) {
        // A view of its own would count as so much memory more.
        const fresh = skip === 0 ? chunk : chunk.subarray(Math.min(skip, chunk.length))
        skip -= chunk.length - fresh.length
        if (fresh.length === 0) continue
        if (at + fresh.length > size)
          throw lie(step, `the registry sends more than the ${size} bytes that the manifest says`)
        at += fresh.length
        yield fresh
      }
      if (at < size) throw new BrokenConnection(`the registry sent ${at} of ${size} bytes`, "SHORT")
    } catch (error) {
      signal?.throwIfAborted()
      if (!(error instanceof BrokenConnection) || isCertificateTrouble(error)) throw error
      // Requests that got no answer at all have been tried again already.
      if (error.message.startsWith("cannot ")) throw error
      fruitless = at - begun >= progressOf(size) ? 0 : fruitless + 1
      if (fruitless >= timing.attempts)
        throw failure(
          "unavailable",
          `${cannot(step)}: the connection broke ${fruitless} times in a row at byte ${at} of ${size} (${error.message})`,
          { cause: error },
        )
      await pause(fruitless === 0 ? 0 : backOff(timing, fruitless), signal)
    }
  }
}

/** Whether the repository has it. */
export const hasBlob = async (place: Place, digest: string, signal?: AbortSignal): Promise<boolean> => {
  const answer = await place.session.ask({
    method: "HEAD",
    path: `/v2/${place.path}/blobs/${digest}`,
    scopes: place.scopes,
    step: stepAt(place, `look for the blob ${digest} in`),
    accept: [200, 404],
    verified: true,
    signal,
  })
  answer.discard()
  return answer.status === 200
}
