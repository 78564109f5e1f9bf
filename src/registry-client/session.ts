// Requests to one endpoint for one repository: authorised, redirected by hand, tried again where that may help.
import { failure } from "../base/errors.ts"
import { type Authorization, type AuthorizationParts, authorize } from "./authorization.ts"
import type { Endpoint, Hosts } from "./hosts.ts"
import {
  type Answer,
  type Body,
  BrokenConnection,
  exchange,
  isCertificateTrouble,
  type Trust,
} from "./http.ts"
import { cannot, plain, refused, type Step } from "./refusal.ts"
import type { Credentials, Timing } from "./registry-client.ts"

export interface Asked {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE"
  /** Beneath the endpoint ("/v2/…"), or a whole address that the endpoint has given. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Body | undefined
  /** "pull", "pull,push"; more scopes in `alsoScopes`. Nothing of a repository when absent. */
  readonly scopes: readonly string[]
  readonly step: Step
  /** Statuses that the caller reads itself; all others are thrown as refusals. */
  readonly accept: readonly number[]
  /** What is being sent cannot be sent again by this request: connection errors and 5xx are thrown at once. */
  readonly once?: boolean
  /** The bytes that come are verified by their digest, so that a redirect to plain HTTP does no harm. */
  readonly verified?: boolean
  readonly signal?: AbortSignal | undefined
}

export interface Session {
  readonly endpoint: Endpoint
  /** Throws what the answer means, unless its status is accepted. */
  ask(asked: Asked): Promise<Answer>
}

export interface SessionParts extends AuthorizationParts {
  readonly hosts: Hosts
}

const mostRedirects = 10
const worthAnotherTry = new Set([408, 429, 500, 502, 503, 504])

/** Resolves after so many milliseconds; rejects when the signal aborts. */
export const pause = (milliseconds: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener("abort", stop)
    }
    const timer = setTimeout(() => {
      done()
      resolve()
    }, milliseconds)
    const stop = () => {
      done()
      reject(signal?.reason)
    }
    if (signal?.aborted) stop()
    else signal?.addEventListener("abort", stop, { once: true })
  })

/** The pause before try number `attempt` (1 is the second one), spread so that clients do not come all at once. */
export const backOff = (timing: Timing, attempt: number): number =>
  Math.min(timing.firstPause * 2 ** (attempt - 1), timing.longestPause) * (0.75 + Math.random() / 2)

/** Milliseconds that Retry-After asks for; undefined when it does not. */
export const retryAfter = (header: string | undefined, now = Date.now()): number | undefined => {
  if (header === undefined) return undefined
  if (/^\d{1,9}$/.test(header.trim())) return Number(header.trim()) * 1000
  const time = Date.parse(header)
  return Number.isNaN(time) ? undefined : Math.max(0, time - now)
}

/** `credentials` are the registry's own: a mirror gets none of them. */
export const openSession = (parts: SessionParts, endpoint: Endpoint, credentials: Credentials): Session => {
  const { timing } = parts
  let authorization: { origin: string; is: Authorization } | undefined
  const authorizationAt = (origin: string): Authorization => {
    if (authorization?.origin !== origin)
      authorization = { origin, is: authorize(parts, origin, credentials) }
    return authorization.is
  }

  let answered = false

  /** One request and what it is redirected to. The header goes to the endpoint's own origin alone, and never again after leaving it. */
  const follow = async (
    asked: Asked,
    origin: string,
    trust: Trust,
    header: string | undefined,
  ): Promise<Answer> => {
    let url = new URL(asked.path, origin)
    let { method, body } = asked
    let left = false
    for (let hop = 0; hop <= mostRedirects; hop++) {
      left ||= url.origin !== origin
      const answer = await exchange({
        method,
        url,
        headers: {
          "User-Agent": parts.agent,
          "Accept-Encoding": "identity",
          ...asked.headers,
          ...(header !== undefined && !left ? { Authorization: header } : {}),
        },
        body,
        trust: url.origin === origin ? trust : await parts.hosts.trustOf(url.host),
        timing,
        signal: asked.signal,
      })
      const location = answer.headers.location
      if (![301, 302, 303, 307, 308].includes(answer.status) || location === undefined) return answer
      answer.discard()
      const next = nextUrl(location, url, asked)
      if (answer.status < 307 && method !== "GET" && method !== "HEAD") {
        method = "GET"
        body = undefined
      }
      url = next
    }
    throw failure(
      "unavailable",
      `${cannot(asked.step)}: the registry redirects more than ${mostRedirects} times`,
    )
  }

  const authorized = async (asked: Asked): Promise<Answer> => {
    const { origin, trust } = await endpoint.reach()
    const authorization = authorizationAt(origin)
    const own = new URL(asked.path, origin).origin === origin
    for (let round = 0; ; round++) {
      const header = own ? await authorization.header(asked.scopes, asked.signal) : undefined
      const answer = await follow(asked, origin, trust, header)
      const mayAnswer = answer.status === 401 && own && answer.url.origin === origin && round < 2
      if (!mayAnswer || !(await authorization.answer(answer, header, asked.scopes, asked.step, asked.signal)))
        return answer
      answer.discard()
    }
  }

  const ask = async (asked: Asked): Promise<Answer> => {
    const { step, signal } = asked
    for (let attempt = 1; ; attempt++) {
      const last = asked.once === true || attempt >= timing.attempts
      let wait = backOff(timing, attempt)
      try {
        const answer = await authorized(asked)
        answered = true
        if (asked.accept.includes(answer.status)) return answer
        const asks = retryAfter(answer.headers["retry-after"])
        const mayHelp = worthAnotherTry.has(answer.status) && (asks ?? 0) <= timing.longestPause
        // Who cannot send it again by the same request may do so by another one.
        if (mayHelp && asked.once === true) {
          const refusal = await refused(answer, step)
          throw new BrokenConnection(refusal.message, String(answer.status), refusal)
        }
        if (last || !mayHelp) throw await refused(answer, step)
        answer.discard()
        wait = Math.max(wait, asks ?? 0)
      } catch (error) {
        signal?.throwIfAborted()
        if (!(error instanceof BrokenConnection) || error.message.startsWith("cannot ")) throw error
        // Where nothing has ever answered, the address is wrong rather than the weather bad.
        const hopeless =
          !answered && /^(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|EHOSTUNREACH|ENETUNREACH)$/.test(error.code)
        if (last || hopeless || isCertificateTrouble(error))
          throw new BrokenConnection(`${cannot(step)}: ${error.message}`, error.code, error)
      }
      await pause(wait, signal)
    }
  }
  return { endpoint, ask }
}

/** Where a redirect leads. Throws for what is no HTTP address, or gives up the protection that there was. */
const nextUrl = (location: string, from: URL, asked: Asked): URL => {
  const elsewhere = (why: string) =>
    failure(
      "unavailable",
      `${cannot(asked.step)}: the registry redirects to "${plain(location, 120)}", ${why}`,
    )
  let url: URL
  try {
    url = new URL(location, from)
  } catch {
    throw elsewhere("which is no address")
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") throw elsewhere("which is not HTTP")
  if (url.username !== "" || url.password !== "") throw elsewhere("which brings credentials of its own")
  if (from.protocol === "https:" && url.protocol === "http:" && asked.verified !== true)
    throw elsewhere("which is unprotected")
  return url
}
