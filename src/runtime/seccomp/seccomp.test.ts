// The compiled filter says what the profile says: for every system call of the default, and for profiles at random.
import { expect, test } from "bun:test"
import fc from "fast-check"
import type { Seccomp, SeccompAction, SeccompArgument, SeccompOperator } from "../../oci/runtime-spec.ts"
import { busyboxConfig } from "../testing/fixtures.ts"
import { encodeProgram } from "./bpf.ts"
import { seccompChoice } from "./choice.ts"
import { defaultProfile } from "./default-profile.ts"
import { compile, filterFlags } from "./filter.ts"
import { type Call, interpret } from "./interpreter.ts"
import { isKernelAtLeast, parseProfile, resolveProfile } from "./profile.ts"
import { aarch64, type SyscallTable, x86, x86_64 } from "./syscall-tables.ts"

const machines = [
  { arch: "x64", audit: 0xc000003e, table: x86_64 },
  { arch: "x64", audit: 0x40000003, table: x86 },
  { arch: "arm64", audit: 0xc00000b7, table: aarch64 },
]
const allowed = 0x7fff0000
const errno = (number: number): number => 0x00050000 | number
const usual = ["CAP_CHOWN", "CAP_SYS_CHROOT", "CAP_MKNOD"]

const target = (arch: string, capabilities: readonly string[] = usual) => ({
  arch,
  capabilities,
  kernelVersion: "6.18.0",
})

/** What a profile says of a call, by its words and without any program. */
function meaning(seccomp: Seccomp, table: SyscallTable, number: number, args: readonly bigint[]): number {
  const verdict = (action: SeccompAction, code = 1): number =>
    action === "SCMP_ACT_ALLOW"
      ? allowed
      : action === "SCMP_ACT_ERRNO"
        ? errno(code)
        : action === "SCMP_ACT_LOG"
          ? 0x7ffc0000
          : 0x80000000
  const known = [...table].filter(([, value]) => value === number).map(([name]) => name)
  const rules = seccomp.syscalls.filter(({ names }) => names.some((name) => known.includes(name)))
  const last = Math.max(
    -1,
    ...seccomp.syscalls.flatMap(({ names }) => names.map((name) => table.get(name) ?? -1)),
  )
  if (number > last && seccomp.defaultAction === "SCMP_ACT_ERRNO") return errno(38)
  const holds = ({ index, op, value: given, valueTwo }: SeccompArgument): boolean => {
    const value = BigInt(given)
    const actual = args[index] ?? 0n
    switch (op) {
      case "SCMP_CMP_EQ":
        return actual === value
      case "SCMP_CMP_NE":
        return actual !== value
      case "SCMP_CMP_LT":
        return actual < value
      case "SCMP_CMP_LE":
        return actual <= value
      case "SCMP_CMP_GT":
        return actual > value
      case "SCMP_CMP_GE":
        return actual >= value
      case "SCMP_CMP_MASKED_EQ":
        return (actual & value) === BigInt(valueTwo ?? 0)
    }
  }
  for (const { args: tests = [], action, errnoRet } of rules) {
    if (tests.length === 0) continue
    const repeated = new Set(tests.map(({ index }) => index)).size < tests.length
    if (repeated ? tests.some(holds) : tests.every(holds)) return verdict(action, errnoRet)
  }
  const flat = rules.filter(({ args: tests = [] }) => tests.length === 0).at(-1)
  return flat === undefined
    ? verdict(seccomp.defaultAction, seccomp.defaultErrnoRet)
    : verdict(flat.action, flat.errnoRet)
}

const interesting = [
  0n,
  1n,
  2n,
  8n,
  16n,
  37n,
  38n,
  39n,
  40n,
  41n,
  0x20000n,
  0x10000000n,
  0x7e020000n,
  0xffffffffn,
  1n << 32n,
  (1n << 64n) - 1n,
]

test.each(machines)(
  "the default profile on %o: every call, with telling arguments",
  ({ arch, audit, table }) => {
    for (const capabilities of [usual, [...usual, "CAP_SYS_ADMIN", "CAP_SYS_NICE"], []]) {
      const seccomp = resolveProfile(defaultProfile, target(arch, capabilities))
      const program = compile(seccomp, arch)
      for (let number = 0; number < 520; number++)
        for (const first of interesting) {
          const args = [first, 0n, 0n, 0n, 0n, 0n]
          const got = interpret(program, { architecture: audit, number, args }).verdict
          if (got !== meaning(seccomp, table, number, args))
            throw new Error(`${number}(${first}) gives ${got.toString(16)} on ${arch} with ${capabilities}`)
        }
    }
  },
)

test("a call is decided in few steps", () => {
  const program = compile(resolveProfile(defaultProfile, target("x64")), "x64")
  let most = 0
  for (let number = 0; number < 520; number++)
    most = Math.max(most, interpret(program, { architecture: 0xc000003e, number, args: [] }).steps)
  expect(most).toBeLessThan(30)
  expect(program.length).toBeLessThan(1000)
})

const call = (name: string, ...args: bigint[]): Call => ({
  architecture: 0xc000003e,
  number: x86_64.get(name) ?? -1,
  args,
})

test("the default profile denies what containers have been escaped with", () => {
  const program = compile(resolveProfile(defaultProfile, target("x64")), "x64")
  const verdict = (name: string, ...args: bigint[]) => interpret(program, call(name, ...args)).verdict
  const afAlg = 38n
  const afVsock = 40n
  for (const family of [afAlg, afVsock]) expect(verdict("socket", family)).toBe(errno(1))
  for (const family of [1n, 2n, 10n, 16n, 17n, 39n, 44n]) expect(verdict("socket", family)).toBe(allowed)
  for (const name of [
    "keyctl",
    "add_key",
    "request_key",
    "bpf",
    "userfaultfd",
    "io_uring_setup",
    "io_uring_enter",
  ])
    expect([name, verdict(name)]).toEqual([name, errno(1)])
  for (const name of [
    "mount",
    "unshare",
    "setns",
    "pivot_root",
    "kexec_load",
    "init_module",
    "open_by_handle_at",
  ])
    expect([name, verdict(name)]).toEqual([name, errno(1)])
  expect(verdict("clone", 0x10000000n)).toBe(errno(1))
  expect(verdict("clone", 0x01200011n)).toBe(allowed)
  expect(verdict("clone3")).toBe(errno(38))
  expect(verdict("personality", 0x40000n)).toBe(errno(1))
})

test("the x32 numbers do not exist, other architectures are killed", () => {
  const program = compile(resolveProfile(defaultProfile, target("x64")), "x64")
  expect(interpret(program, { architecture: 0xc000003e, number: 0x40000000, args: [] }).verdict).toBe(
    errno(38),
  )
  expect(interpret(program, { architecture: 0xc00000b7, number: 0, args: [] }).verdict).toBe(0x80000000)
  const arm = compile(resolveProfile(defaultProfile, target("arm64")), "arm64")
  expect(interpret(arm, { architecture: 0xc000003e, number: 0, args: [] }).verdict).toBe(0x80000000)
})

test("with the capability, the calls behind it are allowed", () => {
  const program = compile(resolveProfile(defaultProfile, target("x64", ["CAP_SYS_ADMIN"])), "x64")
  for (const name of ["mount", "unshare", "bpf", "clone3", "setns"])
    expect([name, interpret(program, call(name)).verdict]).toEqual([name, allowed])
  expect(interpret(program, call("clone", 0x10000000n)).verdict).toBe(allowed)
})

const operator = fc.constantFrom<SeccompOperator>(
  "SCMP_CMP_NE",
  "SCMP_CMP_LT",
  "SCMP_CMP_LE",
  "SCMP_CMP_EQ",
  "SCMP_CMP_GE",
  "SCMP_CMP_GT",
  "SCMP_CMP_MASKED_EQ",
)
const number64 = fc.oneof(fc.bigInt({ min: 0n, max: 5n }), fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }))
const argument = fc.record({ index: fc.nat(2), op: operator, value: number64, valueTwo: number64 })
const action = fc.constantFrom<SeccompAction>(
  "SCMP_ACT_ALLOW",
  "SCMP_ACT_ERRNO",
  "SCMP_ACT_LOG",
  "SCMP_ACT_KILL_PROCESS",
)
const rule = fc.record({
  names: fc.array(fc.constantFrom(...[...x86_64.keys()].slice(0, 40), "no_such_call"), {
    minLength: 1,
    maxLength: 6,
  }),
  action,
  errnoRet: fc.option(fc.nat(200), { nil: undefined }),
  args: fc.array(argument, { maxLength: 3 }),
})

test("a profile at random means the same compiled", () => {
  fc.assert(
    fc.property(
      fc.record({ defaultAction: action, syscalls: fc.array(rule, { maxLength: 12 }) }),
      fc.array(fc.tuple(fc.nat(45), fc.array(number64, { minLength: 3, maxLength: 3 })), {
        minLength: 1,
        maxLength: 40,
      }),
      (seccomp, calls) => {
        const program = compile(seccomp, "x64")
        for (const [number, args] of calls)
          expect(interpret(program, { architecture: 0xc000003e, number, args }).verdict).toBe(
            meaning(seccomp, x86_64, number, args),
          )
      },
    ),
    { numRuns: 200 },
  )
})

test("large decisions are jumped over", () => {
  const names = [...x86_64.keys()].slice(0, 60)
  const seccomp: Seccomp = {
    defaultAction: "SCMP_ACT_ERRNO",
    syscalls: names.map((name, index) => ({
      names: [name],
      action: "SCMP_ACT_ALLOW",
      args: [0, 1, 2].map((argument) => ({ index: argument, op: "SCMP_CMP_EQ", value: index })),
    })),
  }
  const program = compile(seccomp, "x64")
  names.forEach((name, index) => {
    const own = BigInt(index)
    expect(interpret(program, call(name, own, own, own)).verdict).toBe(allowed)
    expect(interpret(program, call(name, own, own, own + 1n)).verdict).toBe(errno(1))
  })
})

test("a program is 8 bytes an instruction, and bounded", () => {
  expect(encodeProgram([{ code: 6, jt: 0, jf: 0, k: 0x7fff0000 }])).toBe("060000000000ff7f")
  const endless = Array.from({ length: 4097 }, () => ({ code: 6, jt: 0, jf: 0, k: 0 }))
  expect(() => encodeProgram(endless)).toThrow("compiles to 4097 instructions")
})

test("a profile in Docker's format is read, conditions and all", () => {
  const profile = parseProfile(
    JSON.stringify({
      defaultAction: "SCMP_ACT_ERRNO",
      archMap: [{ architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86"] }],
      flags: ["SECCOMP_FILTER_FLAG_LOG"],
      syscalls: [
        { names: ["read"], action: "SCMP_ACT_ALLOW" },
        { name: "write", action: "SCMP_ACT_ALLOW", args: null },
        { names: ["ptrace"], action: "SCMP_ACT_ALLOW", includes: { minKernel: "4.8" } },
        { names: ["acct"], action: "SCMP_ACT_ALLOW", includes: { caps: ["CAP_SYS_PACCT"] } },
        { names: ["mount"], action: "SCMP_ACT_ALLOW", excludes: { arches: ["amd64"] } },
      ],
    }).replace('"flags"', '"x":0,"flags"'),
  )
  const seccomp = resolveProfile(profile, target("x64"))
  expect(seccomp.syscalls.flatMap(({ names }) => names)).toEqual(["read", "write", "ptrace"])
  expect(seccomp.architectures).toEqual(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"])
  expect(filterFlags(seccomp)).toBe(2)
  expect(filterFlags({ defaultAction: "SCMP_ACT_ALLOW", syscalls: [] })).toBe(4)
})

test("large arguments keep their last bits", () => {
  const profile = parseProfile(
    '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":18446744073709551615,"op":"SCMP_CMP_EQ"}]}]}',
  )
  expect(profile.syscalls[0]?.args?.[0]?.value).toBe((1n << 64n) - 1n)
})

test.each([
  ["no JSON", "{"],
  ["a list", "[]"],
  ["an unknown action", '{"defaultAction":"SCMP_ACT_MAYBE"}'],
  ["a rule without names", '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"action":"SCMP_ACT_ALLOW"}]}'],
  [
    "an index too far",
    '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW","args":[{"index":6,"op":"SCMP_CMP_EQ"}]}]}',
  ],
  [
    "a negative value",
    '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":-1,"op":"SCMP_CMP_EQ"}]}]}',
  ],
  ["a notifier", '{"defaultAction":"SCMP_ACT_NOTIFY"}'],
])("a profile with %s is refused", (_, json) => {
  expect(() => parseProfile(json)).toThrow("Decoding seccomp profile failed")
})

test("kernel versions compare as numbers", () => {
  expect(isKernelAtLeast("6.18.44-fc", "4.8")).toBe(true)
  expect(isKernelAtLeast("4.7.10", "4.8")).toBe(false)
  expect(isKernelAtLeast("4.18.0", "4.8")).toBe(true)
})

test("the choice: default, unconfined, privileged, one's own; resolved once", () => {
  const choose = seccompChoice()
  const filter = (changes: Parameters<typeof busyboxConfig>[0]) =>
    choose(busyboxConfig(changes), "6.18")(usual)
  expect(filter({})).toBe(filter({ image: "another" }))
  expect(filter({ securityOptions: ["seccomp=unconfined"] })).toBeUndefined()
  expect(filter({ securityOptions: ["seccomp:unconfined"] })).toBeUndefined()
  expect(filter({ privileged: true })).toBeUndefined()
  expect(filter({ securityOptions: ['seccomp={"defaultAction":"SCMP_ACT_LOG"}'] })?.defaultAction).toBe(
    "SCMP_ACT_LOG",
  )
  expect(() => filter({ securityOptions: ["seccomp={"] })).toThrow("Decoding seccomp profile failed")
})
