// `--docker host=…,ca=…`: the endpoint of a context as its flag describes it.
import { readFileSync } from "node:fs"
import { homedir } from "node:os"
import { errorMessage, failure } from "../../base/errors.ts"
import { parseHost } from "../../client/client.ts"
import { getContext, type Meta, type TlsFiles, tlsFilesOf } from "./store.ts"

export interface Endpoint {
  readonly docker: NonNullable<Meta["Endpoints"]["docker"]>
  readonly tls: TlsFiles
}

const keys = ["from", "host", "ca", "cert", "key", "skip-tls-verify"]

const wrong = (message: string) => failure("invalid", `unable to create docker endpoint config: ${message}`)

function readPem(path: string): string {
  try {
    return readFileSync(path.replace(/^~(?=\/)/, homedir()), "utf8")
  } catch (cause) {
    throw wrong(errorMessage(cause))
  }
}

/** The endpoint of the context that is in force, or of the named one. */
export function endpointOf(config: string, name: string, ownHost: string): Endpoint {
  if (name === "default") return { docker: { Host: ownHost, SkipTLSVerify: false }, tls: {} }
  return { docker: getContext(config, name).Endpoints.docker ?? {}, tls: tlsFilesOf(config, name) }
}

/** Reads the flag's values. Throws Failure "invalid" with docker's words. */
export function readEndpoint(config: string, values: readonly string[], ownHost: string): Endpoint {
  const given = new Map<string, string>()
  for (const pair of values.flatMap((value) => value.split(","))) {
    const [key = "", ...rest] = pair.split("=")
    if (rest.length === 0) throw wrong(`${pair} must be formatted as key=value`)
    if (!keys.includes(key)) throw wrong(`unrecognized config key: ${key}`)
    given.set(key, rest.join("="))
  }
  const from = given.get("from")
  if (from) {
    if (given.size > 1) throw wrong('cannot use "from" with other settings of the endpoint')
    return endpointOf(config, from, ownHost)
  }
  const host = given.get("host")
  if (host) parseHost(host)
  const skip = given.get("skip-tls-verify")
  if (skip !== undefined && !/^(true|false|1|0)$/.test(skip))
    throw wrong(`skip-tls-verify: parsing "${skip}": invalid syntax`)
  const [ca, cert, key] = [given.get("ca"), given.get("cert"), given.get("key")]
  return {
    docker: { ...(host ? { Host: host } : {}), SkipTLSVerify: skip === "true" || skip === "1" },
    tls: {
      ...(ca ? { "ca.pem": readPem(ca) } : {}),
      ...(cert ? { "cert.pem": readPem(cert) } : {}),
      ...(key ? { "key.pem": readPem(key) } : {}),
    },
  }
}
