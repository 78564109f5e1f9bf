// Compiles a resolved profile to a seccomp filter: a binary search over ranges of system call numbers.
import { failure } from "../../base/errors.ts"
import type { Seccomp, SeccompAction, SeccompArgument, SeccompSyscall } from "../../oci/runtime-spec.ts"
import {
  Backwards,
  bpf,
  conditional,
  encodeProgram,
  type Instruction,
  instruction,
  seccompData,
} from "./bpf.ts"
import { nativeArchitectures } from "./profile.ts"
import { aarch64, type SyscallTable, x86, x86_64 } from "./syscall-tables.ts"

interface Architecture {
  /** AUDIT_ARCH_… */
  readonly audit: number
  readonly table: SyscallTable
  /** Numbers from here on belong to another ABI (x32) and are answered with ENOSYS. */
  readonly end?: number
}

const architectures: Readonly<Record<string, Architecture>> = {
  SCMP_ARCH_X86_64: { audit: 0xc000003e, table: x86_64, end: 0x40000000 },
  SCMP_ARCH_X86: { audit: 0x40000003, table: x86 },
  SCMP_ARCH_AARCH64: { audit: 0xc00000b7, table: aarch64 },
}

const enosys = 38
const killProcess = 0x80000000

/** SECCOMP_RET_… of an action. */
function verdict(action: SeccompAction, errno = 1): number {
  switch (action) {
    case "SCMP_ACT_KILL":
    case "SCMP_ACT_KILL_THREAD":
      return 0
    case "SCMP_ACT_KILL_PROCESS":
      return killProcess
    case "SCMP_ACT_TRAP":
      return 0x00030000
    case "SCMP_ACT_ERRNO":
      return 0x00050000 | errno
    case "SCMP_ACT_TRACE":
      return 0x7ff00000 | errno
    case "SCMP_ACT_LOG":
      return 0x7ffc0000
    case "SCMP_ACT_ALLOW":
      return 0x7fff0000
  }
}

/** What happens to one system call: the first condition that holds, else `otherwise`. */
interface Decision {
  readonly conditions: readonly { readonly args: readonly SeccompArgument[]; readonly verdict: number }[]
  readonly otherwise: number
}

interface Range {
  readonly start: number
  readonly decision: Decision
}

/** Several tests of one argument in a rule are alternatives, tests of different arguments hold together. */
function alternatives(args: readonly SeccompArgument[]): readonly (readonly SeccompArgument[])[] {
  const repeated = new Set(args.map(({ index }) => index)).size < args.length
  return repeated ? args.map((argument) => [argument]) : [args]
}

function decide(rules: readonly SeccompSyscall[], fallback: number): Decision {
  let otherwise = fallback
  const conditions: { args: readonly SeccompArgument[]; verdict: number }[] = []
  for (const { args = [], action, errnoRet } of rules) {
    const result = verdict(action, errnoRet)
    if (args.length === 0) otherwise = result
    else for (const alternative of alternatives(args)) conditions.push({ args: alternative, verdict: result })
  }
  return {
    conditions: conditions.filter((condition) => condition.verdict !== otherwise || conditions.length > 1),
    otherwise,
  }
}

const same = (a: Decision, b: Decision): boolean =>
  a.conditions.length === 0 && b.conditions.length === 0 && a.otherwise === b.otherwise

function ranges(seccomp: Seccomp, { table, end }: Architecture): Range[] {
  const fallback = verdict(seccomp.defaultAction, seccomp.defaultErrnoRet)
  const byNumber = new Map<number, SeccompSyscall[]>()
  for (const rule of seccomp.syscalls)
    for (const name of rule.names) {
      const number = table.get(name)
      if (number === undefined) continue
      const rules = byNumber.get(number)
      if (rules === undefined) byNumber.set(number, [rule])
      else rules.push(rule)
    }
  const list: Range[] = []
  const add = (start: number, decision: Decision) => {
    const last = list.at(-1)
    if (last !== undefined && same(last.decision, decision)) return
    list.push({ start, decision })
  }
  const nothing: Decision = { conditions: [], otherwise: fallback }
  const missing: Decision = { conditions: [], otherwise: verdict("SCMP_ACT_ERRNO", enosys) }
  let next = 0
  for (const number of [...byNumber.keys()].sort((a, b) => a - b)) {
    if (number > next || list.length === 0) add(next, nothing)
    if (number === 0) list.length = 0
    add(number, decide(byNumber.get(number) ?? [], fallback))
    next = number + 1
  }
  // Calls that are newer than the profile do not exist, so that programs fall back to what they used before.
  add(next, seccomp.defaultAction === "SCMP_ACT_ERRNO" ? missing : nothing)
  if (end !== undefined) add(end, missing)
  return list
}

function leaf(section: Backwards, { conditions, otherwise }: Decision): number {
  if (conditions.length === 0) return section.verdict(otherwise)
  return section.block([
    ...conditions.flatMap(({ args, verdict: result }) => conditional(args, result)),
    instruction(bpf.ret, otherwise),
  ])
}

function tree(section: Backwards, list: readonly Range[]): number {
  const middle = list.length >> 1
  const first = list[0]
  const right = list[middle]
  if (first === undefined || right === undefined) return section.verdict(killProcess)
  if (list.length === 1) return leaf(section, first.decision)
  const above = tree(section, list.slice(middle))
  const below = tree(section, list.slice(0, middle))
  return section.split(right.start, below, above)
}

/** The instructions that decide about one architecture's calls. */
function sectionOf(list: readonly Range[]): Instruction[] {
  const section = new Backwards()
  const place = tree(section, list)
  const { code } = section
  // A single verdict shared by all may lie further on; mostly the root of the tree is the first instruction.
  const skipped = code.length - place
  return [
    instruction(bpf.load, seccompData.number),
    ...(skipped === 0 ? [] : [instruction(bpf.jump, skipped)]),
    ...code,
  ]
}

/** The filter's instructions for an architecture ("x64", "arm64") and the ones that the profile puts beside it. */
export function compile(seccomp: Seccomp, arch: string): Instruction[] {
  const native = nativeArchitectures[arch]
  if (native === undefined)
    throw failure("not-implemented", `There is no seccomp filter for the architecture ${arch}`)
  const names = new Set([native, ...(seccomp.architectures ?? [])])
  let rest: Instruction[] = [instruction(bpf.ret, killProcess)]
  for (const name of [...names].reverse()) {
    const architecture = architectures[name]
    if (architecture === undefined) continue
    const body = sectionOf(ranges(seccomp, architecture))
    // Not this architecture: over the body, which is longer than a conditional jump reaches.
    rest = [
      instruction(bpf.equal, architecture.audit, 1, 0),
      instruction(bpf.jump, body.length),
      ...body,
      ...rest,
    ]
  }
  return [instruction(bpf.load, seccompData.architecture), ...rest]
}

const programs = new WeakMap<Seccomp, string>()

/** The filter as hex for the launcher; compiled once for each resolved profile. */
export function filterProgram(seccomp: Seccomp): string {
  const known = programs.get(seccomp)
  if (known !== undefined) return known
  const program = encodeProgram(compile(seccomp, process.arch))
  programs.set(seccomp, program)
  return program
}

const flagBits: Readonly<Record<string, number>> = {
  SECCOMP_FILTER_FLAG_TSYNC: 1,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
}

/** Flags for seccomp(2). Without any, speculation is not slowed down, as Docker's runtimes have it. */
export function filterFlags({ flags = [] }: Seccomp): number {
  if (flags.length === 0) return flagBits.SECCOMP_FILTER_FLAG_SPEC_ALLOW ?? 0
  return flags.reduce((bits, name) => {
    const bit = flagBits[name]
    if (bit === undefined) throw failure("invalid", `The seccomp flag "${name}" is not supported`)
    return bits | bit
  }, 0)
}
