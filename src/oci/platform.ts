// Platforms: os/architecture/variant, normalised, and which one suits a machine.
import { failure } from "../base/errors.ts"
import { isJsonObject } from "../base/json-bounded.ts"

export interface Platform {
  readonly os: string
  readonly architecture: string
  /** "" when none matters. */
  readonly variant: string
}

const architectures: Readonly<Record<string, readonly [architecture: string, variant?: string]>> = {
  i386: ["386"],
  i486: ["386"],
  i586: ["386"],
  i686: ["386"],
  x86_64: ["amd64"],
  "x86-64": ["amd64"],
  x64: ["amd64"],
  aarch64: ["arm64"],
  armhf: ["arm", "v7"],
  armel: ["arm", "v6"],
  ppc64el: ["ppc64le"],
  ia32: ["386"],
}

/** One spelling for each platform: x86_64 is amd64, arm is arm/v7, arm64/v8 is arm64, macos is darwin. */
export const normalisePlatform = (platform: Platform): Platform => {
  const os = platform.os.toLowerCase()
  const given = platform.architecture.toLowerCase()
  const [architecture, implied] = (Object.hasOwn(architectures, given)
    ? architectures[given]
    : undefined) ?? [given]
  let variant = platform.variant.toLowerCase() || implied || ""
  if (/^[0-9]+$/.test(variant)) variant = `v${variant}`
  if (architecture === "arm" && variant === "") variant = "v7"
  if (architecture === "arm64" && variant === "v8") variant = ""
  if (architecture === "amd64" && variant === "v1") variant = ""
  return { os: os === "macos" ? "darwin" : os, architecture, variant }
}

const nodeArchitectures: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386", ppc64: "ppc64le" }

/** The platform of this process. */
export const hostPlatform = (): Platform =>
  normalisePlatform({
    os: process.platform,
    architecture: nodeArchitectures[process.arch] ?? process.arch,
    variant: "",
  })

export const formatPlatform = (platform: Platform): string =>
  [platform.os, platform.architecture, platform.variant].filter((part) => part !== "").join("/")

/** "linux", "arm64", "linux/arm/v7". Absent parts are the host's. Throws Failure "invalid". */
export const parsePlatform = (text: string): Platform => {
  const parts = text.split("/")
  if (parts.length > 3 || parts.some((part) => !/^[A-Za-z0-9_.-]+$/.test(part)))
    throw failure("invalid", `"${text}" is not a valid platform: write os/architecture, such as linux/amd64`)
  const host = hostPlatform()
  const [first = "", second, third = ""] = parts
  if (second !== undefined) return normalisePlatform({ os: first, architecture: second, variant: third })
  if (/^(linux|windows|darwin|macos|freebsd|netbsd|openbsd|wasi)$/i.test(first))
    return normalisePlatform({ ...host, os: first })
  return normalisePlatform({ os: host.os, architecture: first, variant: "" })
}

/** As it stands in an index or a config. */
export const parsePlatformObject = (value: unknown, what: string): Platform => {
  if (!isJsonObject(value)) throw failure("invalid", `the platform of ${what} is not an object`)
  const text = (key: string): string => {
    const found = value[key] ?? ""
    if (typeof found !== "string")
      throw failure("invalid", `the platform of ${what} has a ${key} that is not a string`)
    return found
  }
  return normalisePlatform({ os: text("os"), architecture: text("architecture"), variant: text("variant") })
}

/** Older architectures that the same processors run. */
const elders: Readonly<Record<string, string>> = { amd64: "386", arm64: "arm" }

/**
 * How well `offered` runs on `wanted`: 0 = not at all, higher is better. Lower variants run on higher ones, 386 on amd64
 * and arm on arm64 when there is nothing better.
 */
export const platformScore = (wanted: Platform, offered: Platform): number => {
  const level = (platform: Platform) => Number(/^v([0-9]+)/.exec(platform.variant)?.[1] ?? 0)
  if (wanted.os !== offered.os) return 0
  if (wanted.architecture !== offered.architecture) {
    const isElder =
      Object.hasOwn(elders, wanted.architecture) && elders[wanted.architecture] === offered.architecture
    return isElder && level(offered) <= 8 ? 2 + level(offered) : 0
  }
  if (wanted.variant === offered.variant) return 1000
  const base = wanted.architecture === "arm64" ? 8 : 1
  if (offered.variant === "") return 100 + base
  // An unversioned wish (arm64, amd64) is met by the base version alone.
  const most = wanted.variant === "" ? base : level(wanted)
  return level(offered) > 0 && level(offered) <= most ? 100 + level(offered) : 0
}
