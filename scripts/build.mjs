// Builds dist/sloop: the launcher first, then one executable that embeds it.
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs"
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
  compileTo(`${out}.new`)
  const order = recordOrder(`${out}.new`)
  if (existsSync(order)) compileTo(`${out}.new`, [`--bytecode-order=${order}`])
  rmSync(order, { force: true })
  renameSync(`${out}.new`, out) // a running daemon keeps its own file
  return out
}

function compileTo(file, more = []) {
  const words = [...compile, ...more, "src/main.ts", "--outfile", file]
  const result = spawnSync(bun, words, { cwd: projectRoot, encoding: "utf8" })
  if (result.status !== 0) stop(`the executable did not build:\n${result.stderr || result.stdout}`)
}

/**
 * Has the executable write which functions a command uses, so that the next build lays their code together and a start
 * reads less of the file (0.7 of 13 ms). The command reaches no engine: what comes before counts most.
 */
function recordOrder(executable) {
  const order = `${executable}.order`
  rmSync(order, { force: true })
  spawnSync(executable, ["-H", "unix:///dev/null/none", "run", "--rm", "busybox", "true"], {
    env: { ...process.env, BUN_BYTECODE_ORDER_OUT: order },
  })
  return order
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(build())
