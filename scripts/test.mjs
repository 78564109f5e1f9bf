// npm test: installs what the tests need, builds, then runs every suite and sums up.
//   npm test [-- SUITE…]     only the named suites
import { spawn, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import { build } from "./build.mjs"
import { buildLauncher } from "./launcher.mjs"
import { cgroupParents, explained, leftovers, removeCgroupParents } from "./leftovers.mjs"
import {
  bun,
  ensureCommands,
  ensureDependencies,
  has,
  installPackages,
  projectRoot,
  requireCompiler,
  requireLinux,
  requireNode,
  requireRoot,
  stop,
} from "./sentences.mjs"

const node = process.execPath
const binaries = {
  SLOOP_BIN: join(projectRoot, "dist", "sloop"),
  SLOOP_LAUNCHER: join(projectRoot, "dist", "launcher"),
}
const sanitized = {
  SLOOP_LAUNCHER: join(projectRoot, "dist", "launcher-sanitized"),
  ASAN_OPTIONS: "detect_leaks=0:abort_on_error=1",
  UBSAN_OPTIONS: "halt_on_error=1:abort_on_error=1",
}

/** Suites in order, quick ones first. `bun` = paths for bun test. */
const suites = [
  { name: "types", command: [join(projectRoot, "node_modules", ".bin", "tsc"), "--noEmit"] },
  {
    name: "lint",
    command: [join(projectRoot, "node_modules", "@biomejs", "cli-linux-x64", "biome"), "check", "."],
  },
  { name: "house", bun: ["test/house"] },
  { name: "first-run", bun: ["test/first-run"] },
  { name: "unit", bun: ["src"] },
  { name: "launcher", bun: ["launcher/test"] },
  { name: "launcher-sanitized", bun: ["launcher/test"], env: sanitized },
  { name: "engine", bun: ["test/engine"] },
  { name: "build", bun: ["test/build"] },
  { name: "corpus", bun: ["test/corpus"] },
  { name: "api", bun: ["test/api"] },
  { name: "cli", bun: ["test/cli"] },
  { name: "docker-client", bun: ["test/docker-client"] },
  { name: "buildkit", bun: ["test/buildkit"] },
  { name: "clients", bun: ["test/clients"] },
  { name: "security", bun: ["test/security"] },
  { name: "faults", bun: ["test/faults"] },
  { name: "crash", bun: ["test/crash"] },
  { name: "cgroup2-vm", bun: ["test/cgroup2-vm"] },
]

function prepare() {
  requireLinux()
  requireNode()
  requireRoot("The test suite")
  requireCompiler()
  ensureDependencies()
  ensureCommands({
    "musl-gcc": "musl-tools",
    tar: "tar",
    bzip2: "bzip2",
    xz: "xz-utils",
    ip: "iproute2",
    nft: "nftables",
    setfattr: "attr",
    curl: "curl",
    openssl: "openssl",
    "docker-registry": "docker-registry",
    dig: "bind9-dnsutils",
    zsh: "zsh",
    fish: "fish",
  })
  if (!has("docker")) installPackages(["docker.io"])
  if (chosen.some(({ name }) => name === "clients")) prepareClients()
  build()
  buildLauncher({ sanitize: true })
}

/** The clients of test/clients; a test whose client cannot be installed is skipped and says so. */
function prepareClients() {
  ensureCommands({ skopeo: "skopeo", podman: "podman" })
  const python = spawnSync("/usr/bin/python3", ["-c", "import docker"]).status === 0
  if (!python) installPackages(["python3-docker"])
  if (!existsSync("/usr/bin/docker")) installPackages(["docker.io"])
  const directory = join(projectRoot, "test", "clients")
  const installed = join(directory, "node_modules", ".package-lock.json")
  const wanted = join(directory, "package-lock.json")
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(wanted).mtimeMs) return
  const words = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
  const { status, stderr } = spawnSync("npm", words, { cwd: directory, encoding: "utf8" })
  if (status !== 0)
    console.log(`npm could not install the clients that are tested; it said:\n${stderr.trim()}`)
}

/** Runs one command with its output shown; resolves to its exit code. */
const run = (command, env) =>
  new Promise((resolve) => {
    const child = spawn(command[0], command.slice(1), {
      cwd: projectRoot,
      env: { ...process.env, ...env },
      stdio: "inherit",
    })
    child.on("exit", (code, signal) => resolve(signal ? 1 : code))
    child.on("error", () => resolve(127))
  })

/** Counts of a JUnit file's outermost element. */
function readCounts(path) {
  try {
    const head = /<testsuites[^>]*>/.exec(readFileSync(path, "utf8"))?.[0] ?? ""
    const number = (name) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(head)?.[1] ?? 0)
    return {
      total: number("tests"),
      failed: number("failures") + number("errors"),
      skipped: number("skipped"),
    }
  } catch {
    return { total: 0, failed: 0, skipped: 0 }
  }
}

async function runSuite(suite) {
  console.log(`\n── ${suite.name}`)
  const since = performance.now()
  const junit = join(projectRoot, ".cache", `junit-${suite.name}.xml`)
  rmSync(junit, { force: true })
  const command = suite.bun
    ? [
        bun,
        "test",
        "--timeout",
        "120000",
        // Shared machines stall for seconds: what failed is tried once more, and said so in its line ("attempt 2").
        ...(process.env.CI ? ["--retry=1"] : []),
        "--reporter=junit",
        `--reporter-outfile=${junit}`,
        ...suite.bun.map((path) => `./${path}/`),
      ]
    : suite.command
  const code = await run(command, { ...binaries, ...suite.env })
  const counts = suite.bun ? readCounts(junit) : { total: 1, failed: code === 0 ? 0 : 1, skipped: 0 }
  if (code === 0) counts.failed = 0
  // A suite that dies, or that runs no test at all, is a failure of its own.
  if (code !== 0 && counts.failed === 0) counts.failed = 1
  if (counts.total === 0) counts.failed = Math.max(1, counts.failed)
  return { name: suite.name, ...counts, seconds: (performance.now() - since) / 1000 }
}

function show(results) {
  console.log("\nsuite                 tests  failed  skipped  seconds")
  for (const { name, total, failed, skipped, seconds } of results)
    console.log(
      `${name.padEnd(20)}${String(total).padStart(7)}${String(failed).padStart(8)}${String(skipped).padStart(9)}${seconds.toFixed(1).padStart(9)}`,
    )
}

const wanted = process.argv.slice(2)
const chosen = suites.filter(({ name }) => wanted.length === 0 || wanted.includes(name))
if (chosen.length === 0)
  stop(`no such suite: ${wanted.join(" ")}; there are ${suites.map(({ name }) => name).join(", ")}.`)
prepare()
mkdirSync(join(projectRoot, ".cache"), { recursive: true })
spawnSync(node, [join(projectRoot, "scripts", "base-image.mjs"), join(projectRoot, ".cache", "busybox.tar")])
const before = leftovers()
const parentsBefore = cgroupParents()
const results = []
for (const suite of chosen) results.push(await runSuite(suite))
const left = leftovers().filter((thing) => !before.includes(thing))
const parents = removeCgroupParents(parentsBefore)
results.push({ name: "leftovers", total: 1, failed: left.length > 0 ? 1 : 0, skipped: 0, seconds: 0 })
show(results)
for (const thing of left) console.log(`left behind: ${explained(thing)}`)
if (parents > 0) console.log(`${parents} empty cgroups of engines that were ended by force are removed`)
const sum = (key) => results.reduce((total, result) => total + result[key], 0)
console.log(
  `\n${sum("total") - sum("failed") - sum("skipped")} passed, ${sum("failed")} failed, ${sum("skipped")} skipped`,
)
process.exitCode = sum("failed") > 0 ? 1 : 0
