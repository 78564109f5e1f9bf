// Which seccomp profile a container gets, resolved and kept for the next one like it.
import { failure } from "../../base/errors.ts"
import type { Seccomp } from "../../oci/runtime-spec.ts"
import type { ContainerConfig } from "../../state/container.ts"
import { defaultProfile } from "./default-profile.ts"
import { parseProfile, resolveProfile, type SeccompProfile } from "./profile.ts"

const maxKept = 64

/** The filter that a container's config asks for, by its capabilities; undefined = unconfined. */
export type SeccompChoice = (
  config: Pick<ContainerConfig, "privileged" | "securityOptions">,
  kernelVersion: string,
) => (capabilities: readonly string[]) => Seccomp | undefined

/** The text behind "seccomp=" or "seccomp:"; undefined when the option is not given. */
function askedProfile(config: Pick<ContainerConfig, "securityOptions">): string | undefined {
  for (const option of config.securityOptions)
    if (/^seccomp[=:]/.test(option)) return option.slice("seccomp=".length)
  return undefined
}

/** Throws invalid for a profile that does not parse, when it is first used. `ownDefault` is a profile's JSON. */
export function seccompChoice(ownDefault?: string): SeccompChoice {
  const usual: SeccompProfile = ownDefault === undefined ? defaultProfile : parseProfile(ownDefault)
  const resolved = new Map<string, Seccomp>()
  return (config, kernelVersion) => (capabilities) => {
    const asked = askedProfile(config)
    if (asked === "unconfined" || (asked === undefined && config.privileged)) return undefined
    if (asked === "") throw failure("invalid", 'The security option "seccomp=" names no profile')
    const key = `${asked === undefined || asked === "builtin" ? "" : asked}\n${capabilities.join(",")}`
    const known = resolved.get(key)
    if (known !== undefined) return known
    const profile = asked === undefined || asked === "builtin" ? usual : parseProfile(asked)
    const made = resolveProfile(profile, { capabilities, arch: process.arch, kernelVersion })
    const oldest = resolved.keys().next()
    if (resolved.size >= maxKept && oldest.done !== true) resolved.delete(oldest.value)
    resolved.set(key, made)
    return made
  }
}
