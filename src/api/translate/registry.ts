// Registries between the wire and the engine: credentials, names, progress lines, what info says.
import * as v from "valibot"
import { failure } from "../../base/errors.ts"
import { parseJsonObject } from "../../base/json-bounded.ts"
import type { ImageProgress } from "../../images/images.ts"
import { credentialsKeyOf } from "../../oci/reference.ts"
import type { Credentials, RegistryOptions } from "../../registry-client/registry-client.ts"
import { type AuthConfig, authConfigSchema, type ProgressLine } from "../../wire/wire.ts"

/** Under this address clients keep the credentials of docker.io. */
export const INDEX_SERVER = credentialsKeyOf("docker.io")

const LONGEST_HEADER = 64 * 1024

export function credentialsOf(auth: AuthConfig): Credentials {
  let { username, password } = auth
  if (username === "" && auth.auth !== "") {
    const text = Buffer.from(auth.auth, "base64").toString("utf8")
    const colon = text.indexOf(":")
    if (colon > 0) {
      username = text.slice(0, colon)
      password = text.slice(colon + 1).replace(/\0+$/, "")
    }
  }
  return { username, password, identityToken: auth.identitytoken, registryToken: auth.registrytoken }
}

/** A header's JSON in base64url, at most so many characters; undefined = absent or empty. Throws what `wrong` makes of a cause. */
export function headerValue(
  header: string | string[] | undefined,
  most: number,
  wrong: (cause?: unknown) => Error,
): unknown {
  const text = Array.isArray(header) ? header[0] : header
  if (text === undefined || text === "") return undefined
  if (text.length > most) throw wrong()
  try {
    return JSON.parse(Buffer.from(text, "base64url").toString("utf8"))
  } catch (cause) {
    throw wrong(cause)
  }
}

/** X-Registry-Auth: base64 of an object; undefined when absent or empty. Throws invalid for what is neither. */
export function headerCredentials(header: string | string[] | undefined): Credentials | undefined {
  const wrong = (cause?: unknown) =>
    failure("invalid", "invalid X-Registry-Auth header: it must be an object as JSON in base64url", { cause })
  const value = headerValue(header, LONGEST_HEADER, wrong)
  if (value === undefined || value === null) return undefined
  const result = v.safeParse(authConfigSchema, value, { abortEarly: true })
  if (!result.success) throw wrong()
  return credentialsOf(result.output)
}

/** An account as JSON, as clients of builds answer with one. Throws invalid for what is none. */
export function accountOf(bytes: Uint8Array): Credentials {
  const result = v.safeParse(authConfigSchema, parseJsonObject(bytes, "the account"), { abortEarly: true })
  if (!result.success) throw failure("invalid", "the account is not as X-Registry-Auth holds one")
  return credentialsOf(result.output)
}

/** The domain that a login's server address means: "https://index.docker.io/v1/" and "" are docker.io. */
export function serverDomain(address: string): string {
  const host = address.replace(/^https?:\/\//, "").split("/")[0] ?? ""
  if (host === "" || host === "index.docker.io" || host === "registry-1.docker.io") return "docker.io"
  if (!/^(\[[0-9a-fA-F:]+\]|[a-zA-Z0-9.-]+)(:\d{1,5})?$/.test(host))
    throw failure("invalid", `"${address}" is no address of a registry: write HOST or HOST:PORT`)
  return host
}

/** "name:tag" or "name@digest"; undefined without a name. */
export function targetReference(repository: string, tag: string): string | undefined {
  if (repository === "") return undefined
  if (tag === "") return repository
  return tag.includes(":") ? `${repository}@${tag}` : `${repository}:${tag}`
}

export function progressLine({ id, status, current, total, layer, stored }: ImageProgress): ProgressLine {
  if (stored !== undefined) {
    const { tag, digest, size } = stored
    return { progressDetail: {}, aux: { Tag: tag, Digest: digest, Size: size } }
  }
  const counted = current !== undefined || total !== undefined
  const detail = counted ? { current, total } : layer === true ? {} : undefined
  return {
    ...(id === undefined ? {} : { id }),
    status,
    ...(detail === undefined ? {} : { progressDetail: detail }),
  }
}

/** What info says of how registries are reached. */
export function registryConfig(options: RegistryOptions) {
  const isSubnet = (entry: string) => entry.includes("/")
  const hub = { Name: "docker.io", Mirrors: [...options.mirrors], Secure: true, Official: true }
  const insecure = options.insecure
    .filter((entry) => !isSubnet(entry))
    .map((name) => [name, { Name: name, Mirrors: [], Secure: false, Official: false }])
  return {
    IndexConfigs: { "docker.io": hub, ...Object.fromEntries(insecure) },
    InsecureRegistryCIDRs: ["::1/128", "127.0.0.0/8", ...options.insecure.filter(isSubnet)],
    Mirrors: options.mirrors.length > 0 ? [...options.mirrors] : null,
  }
}
