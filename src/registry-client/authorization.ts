// Who we are at one origin: nothing, a name and password, or a bearer token that the registry's token server gives.
import { createHash } from "node:crypto"
import { failure } from "../base/errors.ts"
import { isJsonObject } from "../base/json-bounded.ts"
import { type Challenge, parseChallenges } from "./challenge.ts"
import type { Hosts } from "./hosts.ts"
import { type Answer, exchange } from "./http.ts"
import { plain, refused, type Step, shortText } from "./refusal.ts"
import type { Credentials, Timing } from "./registry-client.ts"

export interface Token {
  readonly value: string
  /** performance.now() when it was made, and after which it is not used any more. */
  readonly born: number
  readonly end: number
  /** A refresh token, when one was asked for and given. */
  readonly refresh: string
}

export interface AuthorizationParts {
  readonly hosts: Hosts
  readonly timing: Timing
  readonly agent: string
  /** Tokens by everything that they depend on, for all repositories. */
  readonly tokens: Map<string, Token>
}

const mostTokens = 256
const mostAnswer = 1 << 20
/** Milliseconds in which a token counts as just made. */
const newToken = 5000

export interface Authorization {
  /** The header for a request to this origin, as far as it is known already. */
  header(scopes: readonly string[], signal?: AbortSignal): Promise<string | undefined>
  /** Looks at a 401; true when another try has something new to show. `sent` is the header of the try that failed. */
  answer(
    challenged: Answer,
    sent: string | undefined,
    scopes: readonly string[],
    step: Step,
    signal?: AbortSignal,
  ): Promise<boolean>
}

const isEmpty = (credentials: Credentials): boolean =>
  credentials.username === "" && credentials.password === "" && credentials.identityToken === ""

const basic = ({ username, password }: Credentials): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`

/** The token server's address. Throws "forbidden" for one that would see or show what it must not. */
export const checkRealm = async (realm: string, origin: string, hosts: Hosts, step: Step): Promise<URL> => {
  const refuse = (why: string) =>
    failure(
      "forbidden",
      `the registry of ${step.repository} sends clients for a token to "${plain(realm, 120)}", ${why}`,
    )
  let url: URL
  try {
    url = new URL(realm)
  } catch {
    throw refuse("which is no address")
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") throw refuse("which is not HTTP")
  if (url.username !== "" || url.password !== "") throw refuse("which brings credentials of its own")
  if (url.protocol === "http:") {
    if (origin.startsWith("https:")) throw refuse("which is unprotected while the registry is not")
    if (!(await hosts.isInsecure(url.host)))
      throw refuse(`which is unprotected: only loopback and insecure registries may be so`)
  }
  url.hash = ""
  return url
}

const secondsOf = (value: unknown): number =>
  typeof value === "number" && value > 0 ? Math.min(value, 86_400) : 60

/** Asks the token server. Throws what it says; "unauthorized" becomes "forbidden", as the caller's clients expect. */
export const fetchToken = async (
  parts: AuthorizationParts,
  origin: string,
  challenge: Challenge,
  asked: { credentials: Credentials; scopes: readonly string[]; offline: boolean },
  step: Step,
  signal?: AbortSignal,
): Promise<Token> => {
  const { credentials, scopes } = asked
  const realm = await checkRealm(challenge.parameters.realm ?? "", origin, parts.hosts, step)
  const service = challenge.parameters.service ?? ""
  const trust = await parts.hosts.trustOf(realm.host)
  const call = (method: string, url: URL, headers: Record<string, string>, form?: URLSearchParams) => {
    const bytes = Buffer.from(form?.toString() ?? "")
    async function* open() {
      yield bytes
    }
    return exchange({
      method,
      url,
      headers: {
        "User-Agent": parts.agent,
        Accept: "application/json",
        "Accept-Encoding": "identity",
        ...headers,
      },
      ...(form === undefined ? {} : { body: { size: bytes.length, open } }),
      trust,
      timing: parts.timing,
      signal,
    })
  }
  const post = (grant: Record<string, string>) => {
    const form = new URLSearchParams({
      ...grant,
      client_id: "sloop",
      ...(service === "" ? {} : { service }),
      ...(scopes.length === 0 ? {} : { scope: scopes.join(" ") }),
      ...(asked.offline ? { access_type: "offline" } : {}),
    })
    return call("POST", realm, { "Content-Type": "application/x-www-form-urlencoded" }, form)
  }
  const get = () => {
    const url = new URL(realm)
    if (service !== "") url.searchParams.set("service", service)
    for (const scope of scopes) url.searchParams.append("scope", scope)
    if (asked.offline) {
      url.searchParams.set("offline_token", "true")
      url.searchParams.set("client_id", "sloop")
    }
    if (isEmpty(credentials)) return call("GET", url, {})
    url.searchParams.set("account", credentials.username)
    return call("GET", url, { Authorization: basic(credentials) })
  }
  let answer: Answer
  if (credentials.identityToken !== "")
    answer = await post({ grant_type: "refresh_token", refresh_token: credentials.identityToken })
  else {
    answer = await get()
    // Some token servers know the newer form alone.
    if ((answer.status === 404 || answer.status === 405) && !isEmpty(credentials)) {
      answer.discard()
      answer = await post({
        grant_type: "password",
        username: credentials.username,
        password: credentials.password,
      })
    }
  }
  // A redirect would take the credentials elsewhere; token servers have no use for one.
  if (answer.status >= 300 && answer.status < 400) {
    answer.discard()
    throw failure(
      "forbidden",
      `the token server ${realm.host} of ${step.repository} sends clients elsewhere; that is refused`,
    )
  }
  if (answer.status !== 200)
    throw await refused(answer, { ...step, what: `get a token from ${realm.host} for` })
  return readToken(await shortText(answer, mostAnswer), realm.host, step)
}

const readToken = (text: string, host: string, step: Step): Token => {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    document = undefined
  }
  if (!isJsonObject(document))
    throw failure(
      "unavailable",
      `the token server ${host} of ${step.repository} answered with something that is no token`,
    )
  const value = document.token || document.access_token
  if (typeof value !== "string" || !/^[\x21-\x7e]+$/.test(value))
    throw failure("unavailable", `the token server ${host} of ${step.repository} gave no token`)
  const life = secondsOf(document.expires_in)
  return {
    value,
    born: performance.now(),
    // Renewed early, so that a request does not outlive its token on the way.
    end: performance.now() + 1000 * Math.max(life - 10, life / 2),
    refresh: typeof document.refresh_token === "string" ? document.refresh_token : "",
  }
}

/** `credentials` belong to this origin; nothing here ever goes to another one but the token server it names. */
export const authorize = (
  parts: AuthorizationParts,
  origin: string,
  credentials: Credentials,
): Authorization => {
  let bearer: Challenge | undefined
  let usesBasic = false
  const account = createHash("sha256").update(JSON.stringify(credentials)).digest("hex")

  const keyOf = (challenge: Challenge, scopes: readonly string[]): string =>
    [origin, challenge.parameters.realm, challenge.parameters.service, account, ...scopes].join(" ")
  const wanted = (challenge: Challenge, scopes: readonly string[]): string[] => {
    const told = (challenge.parameters.scope ?? "").split(" ").filter((scope) => scope !== "")
    return [...new Set([...scopes, ...told])].slice(0, 16)
  }
  const tokenFor = async (
    challenge: Challenge,
    scopes: readonly string[],
    step: Step,
    signal?: AbortSignal,
  ): Promise<Token> => {
    const all = wanted(challenge, scopes)
    const token = await fetchToken(
      parts,
      origin,
      challenge,
      { credentials, scopes: all, offline: false },
      step,
      signal,
    )
    if (parts.tokens.size >= mostTokens) parts.tokens.clear()
    parts.tokens.set(keyOf(challenge, scopes), token)
    return token
  }

  return {
    async header(scopes, signal) {
      if (credentials.registryToken !== "") return `Bearer ${credentials.registryToken}`
      if (usesBasic) return basic(credentials)
      if (bearer === undefined) return undefined
      const known = parts.tokens.get(keyOf(bearer, scopes))
      if (known !== undefined && known.end > performance.now()) return `Bearer ${known.value}`
      const step = { what: "get a token for", repository: origin, pulls: true }
      return `Bearer ${(await tokenFor(bearer, scopes, step, signal)).value}`
    },
    async answer(challenged, sent, scopes, step, signal) {
      const header = challenged.headers["www-authenticate"]
      const challenges = parseChallenges(String(header ?? ""))
      const found = challenges.find(
        ({ scheme, parameters }) => scheme === "bearer" && parameters.realm !== undefined,
      )
      if (found !== undefined && credentials.registryToken === "") {
        bearer = found
        const known = parts.tokens.get(keyOf(found, scopes))
        if (known !== undefined && known.end > performance.now()) {
          // Another request has fetched one meanwhile.
          if (sent !== `Bearer ${known.value}`) return true
          // A token that was refused as soon as it was made will not be accepted when made again.
          if (performance.now() - known.born < newToken) return false
          parts.tokens.delete(keyOf(found, scopes))
        }
        await tokenFor(found, scopes, step, signal)
        return true
      }
      if (!challenges.some(({ scheme }) => scheme === "basic") || usesBasic || isEmpty(credentials))
        return false
      if (credentials.identityToken !== "" && credentials.password === "") return false
      usesBasic = true
      return true
    },
  }
}
