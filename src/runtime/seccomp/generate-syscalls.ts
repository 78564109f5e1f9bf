// Writes syscall-tables.ts from the kernel headers of this machine: `bun src/runtime/seccomp/generate-syscalls.ts`.
import { execFileSync } from "node:child_process"
import { writeFileSync } from "node:fs"

/** Calls that are newer than many distributions' headers; their numbers are the same on every architecture. */
const newer: readonly (readonly [name: string, number: number])[] = [
  ["cachestat", 451],
  ["fchmodat2", 452],
  ["map_shadow_stack", 453],
  ["futex_wake", 454],
  ["futex_wait", 455],
  ["futex_requeue", 456],
  ["statmount", 457],
  ["listmount", 458],
  ["lsm_get_self_attr", 459],
  ["lsm_set_self_attr", 460],
  ["lsm_list_modules", 461],
  ["mseal", 462],
  ["setxattrat", 463],
  ["getxattrat", 464],
  ["listxattrat", 465],
  ["removexattrat", 466],
  ["open_tree_attr", 467],
  ["file_getattr", 468],
  ["file_setattr", 469],
]

/** Numbers by name, as the preprocessor leaves them of a header. */
function numbersOf(header: string, ...definitions: string[]): ReadonlyMap<string, number> {
  const macros = execFileSync("cc", ["-E", "-dM", ...definitions, "-include", header, "-"], {
    input: "",
  }).toString()
  const values = new Map<string, string>()
  for (const [, name = "", value = ""] of macros.matchAll(/^#define (__NR\w*) (.+)$/gm))
    values.set(name, value)
  const resolve = (value: string): number => {
    const other = values.get(value)
    return other === undefined ? Number(value) : resolve(other)
  }
  const numbers = new Map<string, number>()
  for (const [name, value] of values) {
    const call = /^__NR_(\w+)$/.exec(name)?.[1]
    if (call === undefined || call === "syscalls" || call === "arch_specific_syscall") continue
    const number = resolve(value)
    if (Number.isInteger(number)) numbers.set(call, number)
  }
  for (const [name, number] of newer) numbers.set(name, number)
  return numbers
}

function table(name: string, numbers: ReadonlyMap<string, number>): string {
  const entries = [...numbers].sort(([, a], [, b]) => a - b).map(([call, number]) => `${call}:${number}`)
  const lines: string[] = []
  let line = ""
  for (const entry of entries) {
    if (line.length + entry.length > 100) {
      lines.push(line)
      line = ""
    }
    line += line === "" ? entry : ` ${entry}`
  }
  lines.push(line)
  return `export const ${name}: SyscallTable = parse(\`\n${lines.join("\n")}\`)\n`
}

const x86 = "/usr/include/x86_64-linux-gnu/asm"
writeFileSync(
  new URL("syscall-tables.ts", import.meta.url),
  `// System call numbers by name. Made by generate-syscalls.ts from the kernel's headers; do not edit.

export type SyscallTable = ReadonlyMap<string, number>

const parse = (text: string): SyscallTable =>
  new Map(
    text
      .trim()
      .split(/\\s+/)
      .map((entry) => {
        const [name = "", number = ""] = entry.split(":")
        return [name, Number(number)] as const
      }),
  )

${table("x86_64", numbersOf(`${x86}/unistd_64.h`))}
${table("x86", numbersOf(`${x86}/unistd_32.h`))}
${table(
  "aarch64",
  numbersOf(
    "/usr/include/asm-generic/unistd.h",
    "-D__BITS_PER_LONG=64",
    "-D__ARCH_WANT_RENAMEAT",
    "-D__ARCH_WANT_NEW_STAT",
    "-D__ARCH_WANT_SET_GET_RLIMIT",
    "-D__ARCH_WANT_TIME32_SYSCALLS",
    "-D__ARCH_WANT_SYS_CLONE3",
    "-D__ARCH_WANT_MEMFD_SECRET",
  ),
)}`,
)
