// Assembles the eBPF program that guards devices on cgroup v2 (BPF_PROG_TYPE_CGROUP_DEVICE).
import type { DeviceRule } from "../../oci/runtime-spec.ts"

const opcode = {
  load32: 0x61, // dst = *(u32 *)(src + offset)
  move: 0xbf, // dst = src
  moveValue: 0xb7, // dst = value
  andValue: 0x57, // dst &= value
  shiftRight: 0x77, // dst >>= value (64 bit)
  jumpEqual: 0x15, // if dst == value skip offset
  jumpNot: 0x55, // if dst != value skip offset
  exit: 0x95,
} as const

const register = { result: 0, context: 1, type: 2, access: 3, major: 4, minor: 5, scratch: 6 } as const
const accessBits: Readonly<Record<string, number>> = { m: 1, r: 2, w: 4 }
const typeNumbers = { b: 1, c: 2 } as const

const instruction = (code: number, dst: number, src: number, offset: number, value: number): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes[0] = code
  bytes[1] = dst | (src << 4)
  bytes.writeInt16LE(offset, 2)
  bytes.writeInt32LE(value, 4)
  return bytes
}

const accessMask = (access: string): number =>
  [...access].reduce((mask, letter) => mask | (accessBits[letter] ?? 0), 0)

/** Instructions that decide for one rule and fall through when it does not match. */
function ruleInstructions(rule: DeviceRule): Buffer[] {
  const checks: ((skip: number) => Buffer)[] = []
  const before: Buffer[] = []
  const mask = accessMask(rule.access)
  if (mask !== 7) {
    // An allowing rule must cover all that is asked for; a denying one matches any part of it.
    const wanted = rule.allow ? 7 & ~mask : mask
    before.push(instruction(opcode.move, register.scratch, register.access, 0, 0))
    before.push(instruction(opcode.andValue, register.scratch, 0, 0, wanted))
    if (rule.allow) checks.push((skip) => instruction(opcode.jumpNot, register.scratch, 0, skip, 0))
    else checks.push((skip) => instruction(opcode.jumpEqual, register.scratch, 0, skip, 0))
  }
  const type = rule.type === "b" || rule.type === "c" ? typeNumbers[rule.type] : undefined
  if (type !== undefined) checks.push((skip) => instruction(opcode.jumpNot, register.type, 0, skip, type))
  const { major, minor } = rule
  if (major !== undefined) checks.push((skip) => instruction(opcode.jumpNot, register.major, 0, skip, major))
  if (minor !== undefined) checks.push((skip) => instruction(opcode.jumpNot, register.minor, 0, skip, minor))
  const verdict = 2
  return [
    ...before,
    ...checks.map((check, index) => check(checks.length - index - 1 + verdict)),
    instruction(opcode.moveValue, register.result, 0, 0, rule.allow ? 1 : 0),
    instruction(opcode.exit, 0, 0, 0, 0),
  ]
}

const matchesEverything = ({ type = "a", major, minor, access }: DeviceRule): boolean =>
  type === "a" && major === undefined && minor === undefined && accessMask(access) === 7

/** The rules from the last one on, down to one that always decides: the kernel takes no unreachable code. */
function deciding(rules: readonly DeviceRule[]): readonly DeviceRule[] {
  const final = rules.findLastIndex(matchesEverything)
  return (final < 0 ? [{ allow: false, access: "rwm" }, ...rules] : rules.slice(final)).toReversed()
}

/** The program as lower-case hex. The last rule that matches decides; without one the access is denied. */
export function deviceProgram(rules: readonly DeviceRule[]): string {
  return Buffer.concat([
    instruction(opcode.load32, register.type, register.context, 0, 0),
    instruction(opcode.move, register.access, register.type, 0, 0),
    instruction(opcode.andValue, register.type, 0, 0, 0xffff),
    instruction(opcode.shiftRight, register.access, 0, 0, 16),
    instruction(opcode.load32, register.major, register.context, 4, 0),
    instruction(opcode.load32, register.minor, register.context, 8, 0),
    ...deciding(rules).flatMap(ruleInstructions),
  ]).toString("hex")
}
