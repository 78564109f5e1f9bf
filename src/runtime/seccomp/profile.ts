// Seccomp profiles as Docker takes them: parsed from JSON, then resolved for one container.
import { errorMessage, failure } from "../../base/errors.ts"
import type { Seccomp, SeccompAction, SeccompArgument, SeccompOperator } from "../../oci/runtime-spec.ts"

/** When a rule counts. Every given list must be met: all capabilities, any architecture (Go's names). */
export interface RuleFilter {
  readonly caps?: readonly string[]
  readonly arches?: readonly string[]
  /** "4.8" */
  readonly minKernel?: string
}

export interface SyscallRule {
  readonly names: readonly string[]
  readonly action: SeccompAction
  readonly errnoRet?: number
  readonly args?: readonly SeccompArgument[]
  readonly includes?: RuleFilter
  readonly excludes?: RuleFilter
}

export interface SeccompProfile {
  readonly defaultAction: SeccompAction
  readonly defaultErrnoRet?: number
  readonly archMap?: readonly {
    readonly architecture: string
    readonly subArchitectures: readonly string[]
  }[]
  readonly architectures?: readonly string[]
  readonly flags?: readonly string[]
  readonly syscalls: readonly SyscallRule[]
}

/** Where a profile is to be used. */
export interface ProfileTarget {
  readonly capabilities: readonly string[]
  /** process.arch: "x64" or "arm64". */
  readonly arch: string
  readonly kernelVersion: string
}

const actions = new Set<string>([
  "SCMP_ACT_KILL",
  "SCMP_ACT_KILL_THREAD",
  "SCMP_ACT_KILL_PROCESS",
  "SCMP_ACT_TRAP",
  "SCMP_ACT_ERRNO",
  "SCMP_ACT_TRACE",
  "SCMP_ACT_LOG",
  "SCMP_ACT_ALLOW",
] satisfies SeccompAction[])

const operators = new Set<string>([
  "SCMP_CMP_NE",
  "SCMP_CMP_LT",
  "SCMP_CMP_LE",
  "SCMP_CMP_EQ",
  "SCMP_CMP_GE",
  "SCMP_CMP_GT",
  "SCMP_CMP_MASKED_EQ",
] satisfies SeccompOperator[])

const wrong = (what: string): never => {
  throw failure("invalid", `Decoding seccomp profile failed: ${what}`)
}

type Json = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const object = (value: unknown, what: string): Json =>
  isObject(value) ? value : wrong(`${what} is not an object`)

const list = (value: unknown, what: string): readonly unknown[] => {
  if (value === undefined || value === null) return []
  return Array.isArray(value) ? value : wrong(`${what} is not a list`)
}

const strings = (value: unknown, what: string): string[] =>
  list(value, what).map((item) =>
    typeof item === "string" ? item : wrong(`${what} holds something else than text`),
  )

const isAction = (value: unknown): value is SeccompAction => typeof value === "string" && actions.has(value)
const isOperator = (value: unknown): value is SeccompOperator =>
  typeof value === "string" && operators.has(value)

const action = (value: unknown): SeccompAction =>
  isAction(value) ? value : wrong(`${JSON.stringify(value)} is not a supported action`)

function errno(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffff
    ? value
    : wrong(`${JSON.stringify(value)} is not an errno`)
}

/** Whole numbers beyond 2^53 arrive as text; see parseProfile. */
function word(value: unknown): bigint {
  const number =
    typeof value === "number" && Number.isInteger(value) && value >= 0
      ? BigInt(value)
      : typeof value === "string" && /^\d+$/.test(value)
        ? BigInt(value)
        : wrong(`${JSON.stringify(value)} is not an unsigned number`)
  return number < 1n << 64n ? number : wrong(`${number} does not fit 64 bits`)
}

function argument(value: unknown): SeccompArgument {
  const { index, op, value: first, valueTwo } = object(value, "an argument")
  if (typeof index !== "number" || !Number.isInteger(index) || index < 0 || index > 5)
    return wrong(`${JSON.stringify(index)} is not the index of an argument (0 to 5)`)
  if (!isOperator(op)) return wrong(`${JSON.stringify(op)} is not a comparison`)
  return { index, op, value: word(first ?? 0), valueTwo: word(valueTwo ?? 0) }
}

function filter(value: unknown): RuleFilter | undefined {
  if (value === undefined || value === null) return undefined
  const { caps, arches, minKernel } = object(value, "a condition")
  if (minKernel !== undefined && !(typeof minKernel === "string" && /^\d+\.\d+/.test(minKernel)))
    return wrong(`${JSON.stringify(minKernel)} is not a kernel version`)
  return {
    caps: strings(caps, "caps"),
    arches: strings(arches, "arches"),
    minKernel: minKernel as string | undefined,
  }
}

function rule(value: unknown): SyscallRule {
  const { name, names, action: act, errnoRet, args, includes, excludes } = object(value, "a rule of syscalls")
  const all = typeof name === "string" && name !== "" ? [name] : strings(names, "names")
  if (all.length === 0) return wrong("a rule names no syscall")
  return {
    names: all,
    action: action(act),
    errnoRet: errno(errnoRet),
    args: list(args, "args").map(argument),
    includes: filter(includes),
    excludes: filter(excludes),
  }
}

/** A profile from its JSON. Throws invalid, as `Decoding seccomp profile failed: …`. */
export function parseProfile(json: string): SeccompProfile {
  let value: unknown
  try {
    // JSON numbers lose their last bits beyond 2^53: such values are read as text.
    value = JSON.parse(json.replace(/("value(?:Two)?"\s*:\s*)(\d{16,})/g, '$1"$2"'))
  } catch (error) {
    return wrong(errorMessage(error))
  }
  const { defaultAction, defaultErrnoRet, archMap, architectures, flags, syscalls } = object(
    value,
    "the profile",
  )
  return {
    defaultAction: action(defaultAction),
    defaultErrnoRet: errno(defaultErrnoRet),
    archMap: list(archMap, "archMap").map((item) => {
      const { architecture, subArchitectures } = object(item, "an entry of archMap")
      if (typeof architecture !== "string") return wrong("an entry of archMap names no architecture")
      return { architecture, subArchitectures: strings(subArchitectures, "subArchitectures") }
    }),
    architectures: strings(architectures, "architectures"),
    flags: strings(flags, "flags"),
    syscalls: list(syscalls, "syscalls").map(rule),
  }
}

const goArchitectures: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" }
export const nativeArchitectures: Readonly<Record<string, string>> = {
  x64: "SCMP_ARCH_X86_64",
  arm64: "SCMP_ARCH_AARCH64",
}

/** Whether version `a` ("6.18.0-x") is at least `b` ("4.8"). */
export function isKernelAtLeast(a: string, b: string): boolean {
  const [major = 0, minor = 0] = a.split(/[.-]/).map(Number)
  const [needMajor = 0, needMinor = 0] = b.split(/[.-]/).map(Number)
  return major > needMajor || (major === needMajor && minor >= needMinor)
}

/** A rule counts when all its includes hold and none of its excludes does. */
function counts({ includes, excludes }: SyscallRule, target: ProfileTarget): boolean {
  const { capabilities, arch, kernelVersion } = target
  const goArch = goArchitectures[arch] ?? arch
  if (includes?.caps?.some((name) => !capabilities.includes(name))) return false
  if (includes?.arches !== undefined && includes.arches.length > 0 && !includes.arches.includes(goArch))
    return false
  if (includes?.minKernel !== undefined && !isKernelAtLeast(kernelVersion, includes.minKernel)) return false
  if (excludes?.caps?.some((name) => capabilities.includes(name))) return false
  if (excludes?.arches?.includes(goArch)) return false
  if (excludes?.minKernel !== undefined && isKernelAtLeast(kernelVersion, excludes.minKernel)) return false
  return true
}

/** What of a profile holds for a container: the OCI form, without conditions. */
export function resolveProfile(profile: SeccompProfile, target: ProfileTarget): Seccomp {
  const native = nativeArchitectures[target.arch]
  const mapped = profile.archMap?.find(({ architecture }) => architecture === native)
  return {
    defaultAction: profile.defaultAction,
    defaultErrnoRet: profile.defaultErrnoRet,
    architectures:
      mapped === undefined
        ? (profile.architectures ?? [])
        : [mapped.architecture, ...mapped.subArchitectures],
    flags: profile.flags,
    syscalls: profile.syscalls
      .filter((item) => counts(item, target))
      .map(({ names, action: act, errnoRet, args }) => ({ names, action: act, errnoRet, args })),
  }
}
