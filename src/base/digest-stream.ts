// Hashes and measures bytes while they stream by, so that nothing is read twice or used unverified.
import { createHash } from "node:crypto"
import { failure } from "./errors.ts"

/** "sha256:" and 64 hex digits of the bytes. */
export const digestOf = (bytes: Uint8Array): string =>
  `sha256:${createHash("sha256").update(bytes).digest("hex")}`

/** Counts and hashes what is written to it. */
export interface Meter {
  add(chunk: Uint8Array): void
  /** To be called once, at the end. */
  finish(): { digest: string; size: number }
}

export const meter = (): Meter => {
  const hash = createHash("sha256")
  let size = 0
  return {
    add(chunk) {
      hash.update(chunk)
      size += chunk.length
    },
    finish: () => ({ digest: `sha256:${hash.digest("hex")}`, size }),
  }
}

/**
 * Passes the bytes on and, after the last one, throws Failure "invalid" unless digest (and size, when given) are the
 * expected ones. `what` names the bytes in the message. A reader that must not act on wrong bytes waits for the end.
 */
export async function* verified(
  source: AsyncIterable<Uint8Array>,
  expected: { digest?: string; size?: number },
  what: string,
): AsyncGenerator<Uint8Array> {
  const measure = meter()
  let size = 0
  for await (const chunk of source) {
    size += chunk.length
    if (expected.size !== undefined && size > expected.size)
      throw failure("invalid", `${what} is longer than the ${expected.size} bytes that were announced`)
    measure.add(chunk)
    yield chunk
  }
  const found = measure.finish()
  if (expected.size !== undefined && found.size !== expected.size)
    throw failure("invalid", `${what} has ${found.size} bytes, but ${expected.size} were announced`)
  if (expected.digest !== undefined && found.digest !== expected.digest)
    throw failure("invalid", `${what} has the digest ${found.digest}, but ${expected.digest} was announced`)
}
