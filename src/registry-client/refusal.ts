// What a registry's refusal means, as one sentence that names registry, repository and step, in Docker's words where clients know them.
import { type ErrorKind, type Failure, failure } from "../base/errors.ts"
import { isJsonObject } from "../base/json-bounded.ts"
import { parseChallenges } from "./challenge.ts"
import type { Answer } from "./http.ts"

/** What was being done, and to what. */
export interface Step {
  /** "fetch the layer sha256:… of" and the like: it stands before the repository's name. */
  readonly what: string
  /** "busybox", "registry.example:5000/app" */
  readonly repository: string
  /** The whole reference where a manifest was asked for. */
  readonly reference?: string
  /** Pulls hide whether a repository exists, as Docker does. */
  readonly pulls: boolean
  /** Whether the credentials themselves are what is asked about. */
  readonly proves?: boolean
}

/** Starts a sentence about a step: "cannot fetch the layer … of busybox". */
export const cannot = (step: Step): string => `cannot ${step.what} ${step.repository}`

const mostBytes = 64 * 1024

/** The beginning of a body, as text. */
export const shortText = async (answer: Answer, most = mostBytes): Promise<string> => {
  const parts: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of answer.body) {
      parts.push(chunk)
      size += chunk.length
      if (size >= most) break
    }
  } catch {
    // An answer that breaks off still says what it has said.
  }
  return Buffer.concat(parts).subarray(0, most).toString("utf8")
}

/** Lines and control characters of others do not belong into our sentences. */
export const plain = (text: string, most = 300): string => {
  const clean = text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ").trim()
  return clean.length > most ? `${clean.slice(0, most)}…` : clean
}

interface Told {
  /** "MANIFEST_UNKNOWN"; "" when the body names none. */
  readonly code: string
  readonly message: string
}

const told = (body: string): Told => {
  let document: unknown
  try {
    document = JSON.parse(body)
  } catch {
    return { code: "", message: "" }
  }
  if (!isJsonObject(document)) return { code: "", message: "" }
  const text = (value: unknown): string => (typeof value === "string" ? plain(value) : "")
  const { errors } = document
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined
  if (isJsonObject(first)) {
    const code = text(first.code)
    return {
      code,
      message: text(first.message) || (typeof first.detail === "string" ? text(first.detail) : ""),
    }
  }
  const message = text(document.details) || text(document.message) || text(document.error_description)
  return { code: typeof document.error === "string" ? text(document.error) : "", message }
}

const byStatus: Readonly<Record<number, readonly [code: string, message: string]>> = {
  401: ["UNAUTHORIZED", "authentication required"],
  403: ["DENIED", "requested access to the resource is denied"],
  429: ["TOOMANYREQUESTS", "too many requests to the registry"],
}

/** "manifest unknown: manifest unknown" */
const codeSentence = ({ code, message }: Told): string => {
  const words = code.toLowerCase().replaceAll("_", " ")
  if (words === "") return message
  return message === "" ? words : `${words}: ${message}`
}

const loginHint = (repository: string): string => {
  const host = repository.includes("/") ? (repository.split("/")[0] ?? "") : ""
  return /[.:]|^localhost$/.test(host) ? `docker login ${host}` : "docker login"
}

/** The failure that an answer with an unwelcome status is. Reads its body. */
export const refused = async (answer: Answer, step: Step): Promise<Failure> => {
  const found = told(await shortText(answer))
  const { status } = answer
  const [code = "", message = ""] = byStatus[status] ?? []
  const known: Told = {
    code: found.code || code,
    message: found.message || (found.code === "" || found.code === code ? message : ""),
  }
  const scarce = parseChallenges(String(answer.headers["www-authenticate"] ?? "")).some(
    ({ parameters }) => parameters.error === "insufficient_scope",
  )
  return explain(step, status, known, scarce)
}

const explain = (step: Step, status: number, found: Told, scarce: boolean): Failure => {
  const said = codeSentence(found)
  const refusal = (kind: ErrorKind, sentence: string) => failure(kind, sentence)
  const name = step.repository
  switch (found.code) {
    case "MANIFEST_UNKNOWN":
      if (step.reference !== undefined)
        return refusal("not-found", `manifest for ${step.reference} not found: ${said}`)
      break
    case "NAME_UNKNOWN":
      return refusal("not-found", `repository ${name} not found: ${said}`)
    case "TOOMANYREQUESTS":
      return refusal("unavailable", `toomanyrequests: ${found.message} (${cannot(step)})`)
  }
  if (found.code === "DENIED" || scarce) {
    const denied =
      scarce && found.code !== "DENIED" ? "denied: requested access to the resource is denied" : said
    return step.pulls
      ? refusal(
          "not-found",
          `pull access denied for ${name}, repository does not exist or may require 'docker login': ${denied}`,
        )
      : refusal(
          "forbidden",
          `${denied}: ${cannot(step)}; '${loginHint(name)}' with a name that may write there`,
        )
  }
  if (step.proves === true && (status === 401 || status === 403))
    return refusal(
      "unauthorized",
      `${/^unauthorized/.test(said) ? "" : "unauthorized: "}${said} (${cannot(step)})`,
    )
  if (status === 401 || found.code === "UNAUTHORIZED")
    return refusal(
      "forbidden",
      `${said}: ${cannot(step)} without the right credentials: run '${loginHint(name)}'`,
    )
  if (status === 403) return refusal("forbidden", `${said || "denied"}: ${cannot(step)}`)
  if (status === 404)
    return step.reference === undefined
      ? refusal("not-found", `${cannot(step)}: ${said || "the registry does not have it"}`)
      : refusal(
          "not-found",
          `manifest for ${step.reference} not found: ${said || "the registry does not have it"}`,
        )
  if (status === 405 || found.code === "UNSUPPORTED")
    return refusal(
      "not-implemented",
      `${cannot(step)}: the registry does not support it${said ? ` (${said})` : ""}`,
    )
  if (status >= 500)
    return refusal(
      "unavailable",
      `${cannot(step)}: the registry answered ${status}${said ? `: ${said}` : ""}`,
    )
  return refusal("invalid", `${cannot(step)}: the registry answered ${status}${said ? `: ${said}` : ""}`)
}
