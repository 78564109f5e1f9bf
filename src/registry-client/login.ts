// login: credentials are shown to a registry, by the way it asks for, before anyone keeps them.
import { failure } from "../base/errors.ts"
import { type AuthorizationParts, fetchToken } from "./authorization.ts"
import { parseChallenges } from "./challenge.ts"
import type { Endpoint } from "./hosts.ts"
import { BrokenConnection, exchange } from "./http.ts"
import { plain, type Step, shortText } from "./refusal.ts"
import type { Credentials } from "./registry-client.ts"

/** Throws "unauthorized" when the registry does not accept them. */
export const proveCredentials = async (
  parts: AuthorizationParts,
  endpoint: Endpoint,
  credentials: Credentials,
  host: string,
  signal?: AbortSignal,
): Promise<{ identityToken: string }> => {
  const step: Step = { what: "log in to", repository: host, pulls: false, proves: true }
  const { origin, trust } = await endpoint.reach()
  const call = async (authorization?: string) => {
    try {
      return await exchange({
        method: "GET",
        url: new URL("/v2/", origin),
        headers: {
          "User-Agent": parts.agent,
          "Accept-Encoding": "identity",
          ...(authorization === undefined ? {} : { Authorization: authorization }),
        },
        trust,
        timing: parts.timing,
        signal,
      })
    } catch (error) {
      if (!(error instanceof BrokenConnection)) throw error
      throw failure("unavailable", `cannot log in to ${host}: ${error.message}`, { cause: error })
    }
  }
  const rejected = (status: number, said: string) =>
    failure(
      status === 401 || status === 403 ? "unauthorized" : "unavailable",
      `login attempt to ${origin}/v2/ failed with status: ${status}${said === "" ? "" : ` (${said})`}`,
    )
  const first = await call()
  if (first.status === 200) {
    first.discard()
    return { identityToken: "" }
  }
  const challenges = parseChallenges(String(first.headers["www-authenticate"] ?? ""))
  first.discard()
  if (first.status !== 401) throw rejected(first.status, "")
  const bearer = challenges.find(
    ({ scheme, parameters }) => scheme === "bearer" && parameters.realm !== undefined,
  )
  let authorization = `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString("base64")}`
  let identityToken = ""
  if (bearer !== undefined) {
    const scopes = (bearer.parameters.scope ?? "").split(" ").filter((scope) => scope !== "")
    const token = await fetchToken(
      parts,
      origin,
      bearer,
      { credentials, scopes, offline: true },
      step,
      signal,
    )
    authorization = `Bearer ${token.value}`
    identityToken = token.refresh
  } else if (!challenges.some(({ scheme }) => scheme === "basic"))
    throw rejected(401, "it asks for no way of proof that is known here")
  const second = await call(authorization)
  if (second.status !== 200)
    throw rejected(second.status, plain((await shortText(second, 2048)).replace(/^[{[<].*/s, "")))
  second.discard()
  return { identityToken }
}
