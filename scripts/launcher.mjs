// Builds the launcher: static with musl where there is musl-gcc (13 times cheaper to exec), else static with libc.
//   node scripts/launcher.mjs [--sanitize] [--out FILE]
import { execFileSync, spawnSync } from "node:child_process"
import { mkdirSync, readdirSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const warnings = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-D_GNU_SOURCE"]

export const has = (command) => spawnSync("sh", ["-c", `command -v ${command}`]).status === 0

export function buildLauncher({ sanitize = false, out = join(root, "dist", sanitize ? "launcher-sanitized" : "launcher") } = {}) {
  const sources = readdirSync(join(root, "launcher")).filter((name) => name.endsWith(".c"))
  mkdirSync(dirname(out), { recursive: true })
  const musl = !sanitize && has("musl-gcc")
  const kernelHeaders = musl ? ["-idirafter", "/usr/include", "-idirafter", `/usr/include/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`] : []
  const flags = sanitize
    ? ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
    : ["-O2", "-static", "-fno-plt", "-Wl,--gc-sections", "-ffunction-sections", "-s"]
  const compiler = musl ? "musl-gcc" : "cc"
  execFileSync(compiler, [...warnings, ...flags, ...kernelHeaders, "-o", out, ...sources.map((name) => join(root, "launcher", name))], { stdio: "inherit" })
  return out
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const at = process.argv.indexOf("--out")
  console.log(buildLauncher({ sanitize: process.argv.includes("--sanitize"), ...(at > 0 ? { out: process.argv[at + 1] } : {}) }))
}
