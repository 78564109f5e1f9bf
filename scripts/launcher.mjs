// Builds the launcher: static with musl where there is musl-gcc (13 times cheaper to exec), else static with libc.
//   node scripts/launcher.mjs [--sanitize] [--out FILE]
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { has, projectRoot, requireCompiler, stop } from "./sentences.mjs"

const warnings = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-D_GNU_SOURCE"]
const kernelHeaders = [
  "-idirafter",
  "/usr/include",
  "-idirafter",
  `/usr/include/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`,
]

/** Folders of the launcher's sources; a header is included by its name alone, from any of them. */
const rooms = ["serving", "container", "monitor", "trees", "kernel"].map((room) =>
  join(projectRoot, "launcher", room),
)

/** Where one of the launcher's files lies. */
export const launcherFile = (name) =>
  rooms.map((room) => join(room, name)).find((path) => existsSync(path)) ?? name

/** Compiles launcher/ROOM/*.c into `out` and returns its path. */
export function buildLauncher({
  sanitize = false,
  out = join(projectRoot, "dist", sanitize ? "launcher-sanitized" : "launcher"),
} = {}) {
  const sources = rooms.flatMap((room) =>
    readdirSync(room)
      .filter((name) => name.endsWith(".c"))
      .map((name) => join(room, name)),
  )
  return buildProgram(sources, out, sanitize)
}

/** Compiles these C files as the launcher is compiled, and returns the program's path. */
export function buildProgram(files, out, sanitize = false) {
  requireCompiler()
  mkdirSync(dirname(out), { recursive: true })
  const musl = !sanitize && has("musl-gcc")
  const flags = sanitize
    ? ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
    : ["-O2", "-static", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", "-s"]
  const compiler = musl ? "musl-gcc" : has("cc") ? "cc" : "gcc"
  const result = spawnSync(
    compiler,
    [
      ...warnings,
      ...flags,
      ...rooms.flatMap((room) => ["-iquote", room]),
      ...(musl ? kernelHeaders : []),
      "-o",
      out,
      ...files,
    ],
    { encoding: "utf8" },
  )
  if (result.status !== 0) stop(`${basename(out)} did not compile with ${compiler}:\n${result.stderr}`)
  return out
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const at = process.argv.indexOf("--out")
  console.log(
    buildLauncher({
      sanitize: process.argv.includes("--sanitize"),
      ...(at > 0 ? { out: process.argv[at + 1] } : {}),
    }),
  )
}
