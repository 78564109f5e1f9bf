// Builds dist/sloop: the launcher first, then one executable that embeds it.
import { spawnSync } from "node:child_process"
import { mkdirSync, renameSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { buildLauncher } from "./launcher.mjs"
import {
  bun,
  ensureCommands,
  ensureDependencies,
  projectRoot,
  requireDisk,
  requireLinux,
  requireNode,
  stop,
} from "./sentences.mjs"

// Autoloading is off because a compiled binary would execute ./bunfig.toml's preload and read ./.env as root.
const compile = [
  "build",
  "--compile",
  "--minify",
  "--bytecode",
  "--format=esm",
  "--splitting",
  "--no-compile-autoload-bunfig",
  "--no-compile-autoload-dotenv",
  // A command is over before compiled code would pay: 4 of its 21 ms of processor time went into compiling. What lives on
  // (the daemon, a command after a moment) calls Bun.unsafe.setJITPolicy(1).
  "--compile-jit-policy=30",
]

export function build() {
  requireLinux()
  requireNode()
  requireDisk(projectRoot, 600)
  ensureDependencies()
  ensureCommands({ "musl-gcc": "musl-tools" }) // optional: without it the launcher is static with the system's libc
  buildLauncher()
  const out = join(projectRoot, "dist", "sloop")
  mkdirSync(join(projectRoot, "dist"), { recursive: true })
  const result = spawnSync(bun, [...compile, "src/main.ts", "--outfile", `${out}.new`], {
    cwd: projectRoot,
    encoding: "utf8",
  })
  if (result.status !== 0) stop(`the executable did not build:\n${result.stderr || result.stdout}`)
  renameSync(`${out}.new`, out) // a running daemon keeps its own file
  return out
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(build())
