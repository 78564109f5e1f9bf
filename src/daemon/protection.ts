// Who may reach the API over TCP: this machine only, or whoever proves a certificate.
import { readFileSync } from "node:fs"
import type { TlsIdentity } from "../api/api.ts"
import { errorMessage, failure } from "../base/errors.ts"
import type { Configuration } from "./configuration.ts"

const NEEDED = { tlscert: "--tlscert", tlskey: "--tlskey", tlscacert: "--tlscacert" } as const

/**
 * What TCP addresses are served with: nothing, or a certificate; `mutual` when clients must have one too.
 * Throws invalid, naming the flag that is missing or the file that cannot be read.
 */
export function readProtection(
  configuration: Configuration,
): { identity: TlsIdentity; mutual: boolean } | undefined {
  const mutual = configuration.tlsverify ?? false
  if (!mutual && !(configuration.tls ?? false)) return undefined
  const read = (key: keyof typeof NEEDED): string => {
    const path = configuration[key]
    if (path === undefined) {
      throw failure(
        "invalid",
        `${mutual ? "--tlsverify" : "--tls"} needs ${NEEDED[key]} FILE: a PEM file of the ${key === "tlskey" ? "server's key" : key === "tlscert" ? "server's certificate" : "authority that signs clients' certificates"}`,
      )
    }
    try {
      return readFileSync(path, "utf8")
    } catch (cause) {
      throw failure("invalid", `cannot read ${NEEDED[key]} ${path}: ${errorMessage(cause)}`, { cause })
    }
  }
  const identity = { key: read("tlskey"), cert: read("tlscert") }
  return mutual ? { identity: { ...identity, ca: read("tlscacert") }, mutual } : { identity, mutual }
}
