// One HTTP exchange: a request goes out, its answer's head comes back, its body streams with back-pressure. No redirect,
// no retry, no credentials: those are decided elsewhere.
import {
  type IncomingHttpHeaders,
  type IncomingMessage,
  Agent as PlainAgent,
  request as plainRequest,
} from "node:http"
import { Agent as SecureAgent, request as secureRequest } from "node:https"
import { Failure } from "../base/errors.ts"
import type { Timing } from "./registry-client.ts"

/** What a TLS connection needs to know; the machine's own authorities when empty. */
export interface Trust {
  readonly ca?: readonly string[]
  readonly cert?: string
  readonly key?: string
  /** False accepts any certificate. */
  readonly verify: boolean
}

/** A body that can be sent again. */
export interface Body {
  /** Bytes. */
  readonly size: number
  open(): AsyncIterable<Uint8Array>
}

export interface Exchange {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Body | undefined
  readonly trust: Trust
  readonly timing: Timing
  readonly signal?: AbortSignal | undefined
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Where the answer came from, after redirects. */
  readonly url: URL
  /** To be read once. Throws {@link BrokenConnection} when it ends early. */
  readonly body: AsyncIterable<Uint8Array>
  /** Lets the connection go without reading on. */
  discard(): void
}

/** The connection, not the registry, failed: another try may succeed. `code` is the system's. */
export class BrokenConnection extends Failure {
  readonly code: string
  constructor(message: string, code: string, cause?: unknown) {
    super("unavailable", message, { cause })
    this.name = "BrokenConnection"
    this.code = code
  }
}

const plainAgent = new PlainAgent({ keepAlive: true, maxSockets: 16, timeout: 30_000 })
const secureAgent = new SecureAgent({ keepAlive: true, maxSockets: 16, timeout: 30_000 })

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "the connection was reset",
  ENOTFOUND: "no such host",
  EAI_AGAIN: "the host's name cannot be resolved now",
  ETIMEDOUT: "the connection timed out",
  EHOSTUNREACH: "no route to host",
  ENETUNREACH: "the network is unreachable",
  EPIPE: "the connection was closed",
  ERR_SSL_WRONG_VERSION_NUMBER: "it does not speak TLS",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is signed by an unknown authority",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is signed by itself",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate is signed by an unknown authority",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its certificate is signed by an unknown authority",
  CERT_HAS_EXPIRED: "its certificate has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another host",
}

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : ""

const broken = (error: unknown, host: string): BrokenConnection => {
  if (error instanceof BrokenConnection) return error
  const code = codeOf(error)
  const reason = reasons[code] ?? (error instanceof Error ? error.message : String(error))
  return new BrokenConnection(`${host}: ${reason}`, code, error)
}

/** Certificates are not mended by trying again. */
export const isCertificateTrouble = (error: unknown): boolean =>
  error instanceof BrokenConnection && /CERT|SIGNATURE|ISSUER/.test(error.code)

/** What breaks an exchange, told to whoever waits for it now: a race with one long promise would hold every chunk's waiter. */
class Trouble {
  readonly #waiting = new Set<(error: unknown) => void>()
  #error: unknown

  tell(error: unknown): void {
    this.#error ??= error
    for (const reject of this.#waiting) reject(this.#error)
  }

  /** Waits for the promise, but no longer than `milliseconds`, nor after trouble. */
  guard<T>(promise: Promise<T>, milliseconds: number, late: () => Error): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => end(() => reject(late())), milliseconds)
      const failed = (error: unknown) => end(() => reject(error))
      const end = (settle: () => void) => {
        clearTimeout(timer)
        this.#waiting.delete(failed)
        settle()
      }
      this.#waiting.add(failed)
      if (this.#error !== undefined) failed(this.#error)
      promise.then((value) => end(() => resolve(value)), failed)
    })
  }
}

/** Sends and resolves with the answer's head. Throws {@link BrokenConnection}, or the signal's reason. */
export const exchange = async (asked: Exchange): Promise<Answer> => {
  const { url, method, body, trust, timing, signal } = asked
  signal?.throwIfAborted()
  const secure = url.protocol === "https:"
  const stalled = (milliseconds: number) =>
    new BrokenConnection(`${url.host}: nothing came for ${milliseconds / 1000} seconds`, "STALLED")
  const headers: Record<string, string> = { ...asked.headers }
  if (body !== undefined) headers["Content-Length"] = String(body.size)
  const options = { method, headers, agent: secure ? secureAgent : plainAgent }
  const request = secure
    ? secureRequest(url, {
        ...options,
        agent: secureAgent,
        rejectUnauthorized: trust.verify,
        ...(trust.ca === undefined ? {} : { ca: [...trust.ca] }),
        ...(trust.cert === undefined ? {} : { cert: trust.cert, key: trust.key }),
      })
    : plainRequest(url, { ...options, agent: plainAgent })
  const trouble = new Trouble()
  const abort = () => {
    trouble.tell(signal?.reason)
    request.destroy()
  }
  signal?.addEventListener("abort", abort, { once: true })
  const finish = () => signal?.removeEventListener("abort", abort)
  request.on("error", (error) => trouble.tell(broken(error, url.host)))
  let lastSent = performance.now()
  let response: IncomingMessage | undefined
  const answered = new Promise<IncomingMessage>((resolve) =>
    request.once("response", (found: IncomingMessage) => {
      response = found
      found.on("error", (error: unknown) => trouble.tell(broken(error, url.host)))
      resolve(found)
    }),
  )
  const send = async (): Promise<void> => {
    for await (const chunk of body?.open() ?? []) {
      lastSent = performance.now()
      if (response !== undefined) return
      if (request.write(chunk)) continue
      const drained = new Promise<void>((resolve) => request.once("drain", resolve))
      await trouble.guard(Promise.race([drained, answered]), timing.stall, () => stalled(timing.stall))
    }
    lastSent = performance.now()
    request.end()
  }
  // A registry may refuse in the middle of an upload: its answer tells more than our broken pipe.
  send().catch((error: unknown) => setTimeout(() => trouble.tell(error), 50))
  const head = async (): Promise<IncomingMessage> => {
    for (;;) {
      const left = lastSent + timing.answer - performance.now()
      if (left <= 0) throw stalled(timing.answer)
      try {
        return await trouble.guard(answered, left, () => new Late())
      } catch (error) {
        if (!(error instanceof Late)) throw error
      }
    }
  }
  try {
    const found = await head()
    return {
      status: found.statusCode ?? 0,
      headers: found.headers,
      url,
      body: read(found, { trouble, timing, stalled, finish }),
      discard() {
        finish()
        found.destroy()
      },
    }
  } catch (error) {
    finish()
    request.destroy()
    signal?.throwIfAborted()
    throw error instanceof Failure ? error : broken(error, url.host)
  }
}

/** The time to look again how long ago something was sent. */
class Late extends Error {}

async function* read(
  response: IncomingMessage,
  parts: {
    trouble: Trouble
    timing: Timing
    stalled: (milliseconds: number) => Error
    finish: () => void
  },
): AsyncGenerator<Uint8Array> {
  const { trouble, timing, stalled, finish } = parts
  const chunks: AsyncIterator<Uint8Array> = response[Symbol.asyncIterator]()
  let whole = false
  try {
    for (;;) {
      const next = await trouble.guard(chunks.next(), timing.stall, () => stalled(timing.stall))
      if (next.done === true) {
        whole = true
        return
      }
      yield next.value
    }
  } catch (error) {
    throw error instanceof Failure ? error : broken(error, "the registry")
  } finally {
    finish()
    if (!whole) response.destroy()
  }
}
