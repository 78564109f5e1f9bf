// Classic BPF for seccomp: instructions, jumps by label, and arguments compared as 64-bit numbers.
import { failure } from "../../base/errors.ts"
import type { SeccompArgument } from "../../oci/runtime-spec.ts"

export interface Instruction {
  readonly code: number
  readonly jt: number
  readonly jf: number
  readonly k: number
}

export const bpf = {
  load: 0x20, // A = 32 bits of seccomp_data at k
  jump: 0x05,
  equal: 0x15,
  greater: 0x25,
  greaterOrEqual: 0x35,
  and: 0x54,
  ret: 0x06,
} as const

/** Offsets in struct seccomp_data. */
export const seccompData = { number: 0, architecture: 4, arguments: 16 } as const

const maxJump = 255

export const instruction = (code: number, k: number, jt = 0, jf = 0): Instruction => ({
  code,
  jt,
  jf,
  k: k >>> 0,
})

/** A jump's end: further on by label, or the next instruction. */
type Target = "match" | "miss" | "next"
type Draft =
  | Instruction
  | { readonly code: number; readonly k: number; readonly yes: Target; readonly no: Target }

const branch = (code: number, k: number, yes: Target, no: Target): Draft => ({ code, k: k >>> 0, yes, no })

const low = (value: bigint): number => Number(value & 0xffffffffn)
const high = (value: bigint): number => Number((value >> 32n) & 0xffffffffn)

/** Checks one argument: goes on when it holds, to "miss" when it does not. "match" is its own end. */
function comparison({ index, op, value: given, valueTwo = 0 }: SeccompArgument): Draft[] {
  const value = BigInt(given)
  const at = seccompData.arguments + index * 8
  const loadHigh = instruction(bpf.load, at + 4)
  const loadLow = instruction(bpf.load, at)
  const { equal, greater, greaterOrEqual } = bpf
  switch (op) {
    case "SCMP_CMP_EQ":
      return [
        loadHigh,
        branch(equal, high(value), "next", "miss"),
        loadLow,
        branch(equal, low(value), "match", "miss"),
      ]
    case "SCMP_CMP_NE":
      return [
        loadHigh,
        branch(equal, high(value), "next", "match"),
        loadLow,
        branch(equal, low(value), "miss", "match"),
      ]
    case "SCMP_CMP_MASKED_EQ": {
      const wanted = BigInt(valueTwo)
      return [
        loadHigh,
        instruction(bpf.and, high(value)),
        branch(equal, high(wanted), "next", "miss"),
        loadLow,
        instruction(bpf.and, low(value)),
        branch(equal, low(wanted), "match", "miss"),
      ]
    }
    case "SCMP_CMP_GT":
    case "SCMP_CMP_GE":
    case "SCMP_CMP_LE":
    case "SCMP_CMP_LT": {
      const upward = op === "SCMP_CMP_GT" || op === "SCMP_CMP_GE"
      const above: Target = upward ? "match" : "miss"
      const below: Target = upward ? "miss" : "match"
      const last = op === "SCMP_CMP_GT" || op === "SCMP_CMP_LE" ? greater : greaterOrEqual
      return [
        loadHigh,
        branch(greater, high(value), above, "next"),
        branch(equal, high(value), "next", below),
        loadLow,
        branch(last, low(value), above, below),
      ]
    }
  }
}

/** Returns `verdict` when every argument holds, else goes on behind the code. */
export function conditional(args: readonly SeccompArgument[], verdict: number): Instruction[] {
  const parts = args.map(comparison)
  const total = parts.reduce((sum, part) => sum + part.length, 1)
  const code: Instruction[] = []
  for (const part of parts) {
    const end = code.length + part.length
    for (const draft of part) {
      const from = code.length + 1
      const distance = (target: Target): number =>
        target === "next" ? 0 : target === "match" ? end - from : total - from
      code.push(
        "yes" in draft ? instruction(draft.code, draft.k, distance(draft.yes), distance(draft.no)) : draft,
      )
    }
  }
  code.push(instruction(bpf.ret, verdict))
  return code
}

/**
 * Code that is laid out from its end, so that what is there already can be jumped to: equal verdicts share one instruction.
 * The kernel's time for a filter goes with its length. A place is the count of instructions from there to the end.
 */
export class Backwards {
  readonly #reversed: Instruction[] = []
  readonly #verdicts = new Map<number, number>()

  /** Puts code in front of what is there; its place. */
  block(code: readonly Instruction[]): number {
    this.#reversed.push(...code.toReversed())
    return this.#reversed.length
  }

  /** A place that returns the verdict. */
  verdict(value: number): number {
    const known = this.#verdicts.get(value)
    if (known !== undefined && this.#isNear(known)) return known
    const place = this.block([instruction(bpf.ret, value)])
    this.#verdicts.set(value, place)
    return place
  }

  /** Goes to `below` when A < k, else to `above`. */
  split(k: number, below: number, above: number): number {
    const [far, near] = [this.#bring(above), this.#bring(below)]
    const from = this.#reversed.length
    return this.block([instruction(bpf.greaterOrEqual, k, from - far, from - near)])
  }

  get code(): Instruction[] {
    return this.#reversed.toReversed()
  }

  /** Also after one more instruction was put in front. */
  #isNear(place: number): boolean {
    return this.#reversed.length - place < maxJump
  }

  /** A conditional jump reaches only so far: further on by way of an unconditional one. */
  #bring(place: number): number {
    if (this.#isNear(place)) return place
    return this.block([instruction(bpf.jump, this.#reversed.length - place)])
  }
}

const maxInstructions = 4096

/** struct sock_filter[] as lower-case hex. Throws invalid when the kernel would not take so many. */
export function encodeProgram(program: readonly Instruction[]): string {
  if (program.length > maxInstructions)
    throw failure(
      "invalid",
      `The seccomp profile compiles to ${program.length} instructions; the kernel takes ${maxInstructions}`,
    )
  const bytes = Buffer.allocUnsafe(program.length * 8)
  program.forEach(({ code, jt, jf, k }, index) => {
    bytes.writeUInt16LE(code, index * 8)
    bytes[index * 8 + 2] = jt
    bytes[index * 8 + 3] = jf
    bytes.writeUInt32LE(k, index * 8 + 4)
  })
  return bytes.toString("hex")
}
