// Runs a seccomp filter on one system call, as the kernel would: for tests of the compiler.
import { bpf, type Instruction, seccompData } from "./bpf.ts"

export interface Call {
  /** AUDIT_ARCH_… */
  readonly architecture: number
  readonly number: number
  readonly args: readonly bigint[]
}

function word({ architecture, number, args }: Call, offset: number): number {
  if (offset === seccompData.number) return number >>> 0
  if (offset === seccompData.architecture) return architecture >>> 0
  const index = (offset - seccompData.arguments) >> 3
  const value = args[index] ?? 0n
  return Number((offset & 4 ? value >> 32n : value) & 0xffffffffn)
}

/** SECCOMP_RET_… and how many instructions it took. Throws when the program leaves its bounds. */
export function interpret(program: readonly Instruction[], call: Call): { verdict: number; steps: number } {
  let accumulator = 0
  let at = 0
  for (let steps = 1; ; steps++) {
    const current = program[at]
    if (current === undefined) throw new Error(`the program leaves its bounds at ${at}`)
    const { code, jt, jf, k } = current
    at += 1
    const branch = (taken: boolean) => {
      at += taken ? jt : jf
    }
    if (code === bpf.load) accumulator = word(call, k)
    else if (code === bpf.and) accumulator = (accumulator & k) >>> 0
    else if (code === bpf.jump) at += k
    else if (code === bpf.equal) branch(accumulator === k)
    else if (code === bpf.greater) branch(accumulator > k)
    else if (code === bpf.greaterOrEqual) branch(accumulator >= k)
    else if (code === bpf.ret) return { verdict: k, steps }
    else throw new Error(`unknown instruction ${code.toString(16)}`)
  }
}
