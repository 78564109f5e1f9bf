// One clear sentence for each thing that a machine may lack, and the way out.
import { spawnSync } from "node:child_process"
import { existsSync, statfsSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

export const projectRoot = join(dirname(fileURLToPath(import.meta.url)), "..")

/** Whether a command is on PATH. */
export const has = (command) => spawnSync("sh", ["-c", `command -v ${command}`]).status === 0

export const stop = (sentence) => {
  process.stderr.write(`sloop: ${sentence}\n`)
  process.exit(1)
}

export function requireLinux() {
  if (process.platform !== "linux")
    stop(
      `Sloop runs containers with the Linux kernel, and this is ${process.platform}; use a Linux machine or virtual machine.`,
    )
  if (process.arch !== "x64" && process.arch !== "arm64")
    stop(`Sloop is built for x86_64 and arm64 processors, and this one is ${process.arch}.`)
}

export function requireNode() {
  if (Number(process.versions.node.split(".")[0]) < 20)
    stop(`Node ${process.versions.node} is too old to build Sloop; install Node 20 or later.`)
}

export function requireRoot(what) {
  if (process.getuid() !== 0)
    stop(`${what} needs root to make namespaces, mounts and networks; run it again with sudo.`)
}

export function requireCompiler() {
  if (!has("cc") && !has("gcc"))
    stop(
      "A C compiler is needed to build the launcher and none was found; install one, for example with: apt-get install gcc libc6-dev",
    )
}

/** At least this many free megabytes where `path` lies. */
export function requireDisk(path, megabytes) {
  let at = path
  while (!existsSync(at)) at = dirname(at)
  const { bavail, bsize } = statfsSync(at)
  const free = Math.floor((bavail * bsize) / 1e6)
  if (free < megabytes)
    stop(`${at} has ${free} MB free and ${megabytes} MB are needed; make room there and run this again.`)
}

/** Installs missing Debian packages; false when that is not possible here. `commands` maps a command to its package. */
export function ensureCommands(commands) {
  const missing = Object.entries(commands).filter(([command]) => !has(command))
  if (missing.length === 0) return true
  return installPackages(missing.map(([, name]) => name))
}

export function installPackages(names) {
  if (!has("apt-get") || process.getuid() !== 0) return false
  const run = (args) =>
    spawnSync("apt-get", args, {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    }).status === 0
  const install = [
    "install",
    "-y",
    "-qq",
    "--no-install-recommends",
    "-o",
    "Dpkg::Use-Pty=0",
    ...new Set(names),
  ]
  return run(install) || (run(["update", "-qq"]) && run(install))
}

/** Installs the pinned dependencies when node_modules is missing or older than the lock file. */
export function ensureDependencies() {
  if (existsSync(join(projectRoot, "node_modules", ".bin", "bun"))) return
  const result = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: projectRoot,
    encoding: "utf8",
  })
  if (result.status !== 0)
    stop(`npm could not install the pinned dependencies; it said:\n${result.stderr.trim()}`)
}

export const bun = join(projectRoot, "node_modules", ".bin", "bun")
