// What the configuration says of registries, checked once: mirrors, insecure ones, certificates.
import { isIP } from "node:net"
import { failure } from "../base/errors.ts"
import type { RegistryOptions, Timing } from "./registry-client.ts"

const defaultTiming: Timing = {
  answer: 60_000,
  stall: 60_000,
  attempts: 5,
  firstPause: 500,
  longestPause: 60_000,
}

export const timingOf = (options: RegistryOptions): Timing => ({ ...defaultTiming, ...options.timing })

const hostPattern = /^(\[[0-9a-f:]+\]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:\d{1,5})?$/i

export interface Subnet {
  readonly address: string
  readonly bits: number
  readonly family: "ipv4" | "ipv6"
}

/** "10.0.0.0/8"; undefined when it is none. */
export const parseSubnet = (text: string): Subnet | undefined => {
  const match = /^([0-9a-f.:]+)\/(\d{1,3})$/i.exec(text)
  if (match === null) return undefined
  const [, address = "", digits = ""] = match
  const version = isIP(address)
  const bits = Number(digits)
  if (version === 0 || bits > (version === 4 ? 32 : 128)) return undefined
  return { address, bits, family: version === 4 ? "ipv4" : "ipv6" }
}

/** The mirror's URL. Throws "invalid" for one with a path, a query or a name and password. */
export const parseMirror = (text: string): URL => {
  let url: URL
  try {
    url = new URL(text)
  } catch (cause) {
    throw failure("invalid", `invalid mirror: "${text}" is not a URL`, { cause })
  }
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw failure("invalid", `invalid mirror: unsupported scheme "${url.protocol}" in "${text}"`)
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "")
    throw failure("invalid", `invalid mirror: path, query, or fragment at end of the URI "${text}"`)
  if (url.username !== "" || url.password !== "")
    throw failure("invalid", "invalid mirror: username and password are not allowed in its URI")
  return url
}

/** Throws "invalid", naming what is wrong. */
export const checkOptions = (options: RegistryOptions): void => {
  for (const mirror of options.mirrors) parseMirror(mirror)
  for (const entry of options.insecure) {
    if (parseSubnet(entry) === undefined && !hostPattern.test(entry))
      throw failure(
        "invalid",
        `insecure registry ${entry} is not valid: write HOST, HOST:PORT or a subnet, without a scheme`,
      )
  }
}
