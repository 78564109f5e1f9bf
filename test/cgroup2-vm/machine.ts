// A virtual machine with pure cgroup v2: Debian's kernel, an initramfs made here, QEMU in emulation.
import { spawn, spawnSync } from "node:child_process"
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { basename, dirname, join } from "node:path"

const projectRoot = join(import.meta.dirname, "..", "..")
const cache = join(projectRoot, ".cache", "vm")
/** What the guest's kernel needs for containers; their dependencies come along. */
const modules = [
  "overlay",
  "veth",
  "bridge",
  "nf_tables",
  "nft_masq",
  "nft_nat",
  "nft_chain_nat",
  "nft_fib_ipv4",
  "nft_fib_inet",
  "nft_ct",
  "nf_conntrack",
]

const run = (command: string, words: readonly string[], options: { cwd?: string } = {}) =>
  spawnSync(command, words, {
    encoding: "utf8",
    maxBuffer: 1 << 26,
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    ...options,
  })

const has = (command: string) => run("sh", ["-c", `command -v ${command}`]).status === 0

function apt(words: readonly string[], cwd?: string): boolean {
  const options = cwd ? { cwd } : {}
  return (
    run("apt-get", words, options).status === 0 ||
    (run("apt-get", ["update", "-qq"]).status === 0 && run("apt-get", words, options).status === 0)
  )
}

/** Makes sure that QEMU and a Debian kernel are here; otherwise says in one sentence why the test cannot run. */
export function whyNot(): string | undefined {
  if (process.arch !== "x64")
    return `the virtual machine is made for x86_64 only, and this is ${process.arch}`
  const tools = { "qemu-system-x86_64": "qemu-system-x86", depmod: "kmod", cpio: "cpio" }
  const missing = Object.entries(tools).filter(([command]) => !has(command))
  if (
    missing.length > 0 &&
    !apt(["install", "-y", "-qq", "--no-install-recommends", ...missing.map(([, name]) => name)])
  )
    return `${missing.map(([, name]) => name).join(", ")} could not be installed with apt-get`
  if (kernelVersion() === undefined && !fetchKernel())
    return "no Debian kernel package could be downloaded with apt-get"
  return undefined
}

function kernelVersion(): string | undefined {
  const directory = join(cache, "kernel", "lib", "modules")
  return existsSync(directory) ? readdirSync(directory)[0] : undefined
}

function fetchKernel(): boolean {
  mkdirSync(cache, { recursive: true })
  const name = /Depends: (linux-image-\S+)/.exec(
    run("apt-cache", ["depends", "linux-image-amd64"]).stdout,
  )?.[1]
  if (!name || !apt(["download", name], cache)) return false
  const file = readdirSync(cache).find((entry) => entry.startsWith(name) && entry.endsWith(".deb"))
  if (!file) return false
  const unpacked = join(cache, "kernel")
  const done = run("dpkg-deb", ["-x", join(cache, file), unpacked]).status === 0
  const version = kernelVersion()
  return done && version !== undefined && run("/sbin/depmod", ["-b", unpacked, version]).status === 0
}

/** Files of the modules and of all they depend on, in loading order. */
function moduleFiles(version: string): string[] {
  const found: string[] = []
  for (const name of modules) {
    const shown = run("/sbin/modprobe", [
      "-d",
      join(cache, "kernel"),
      "-S",
      version,
      "--show-depends",
      name,
    ]).stdout
    for (const [, path = ""] of shown.matchAll(/^insmod (\S+)/gm)) if (!found.includes(path)) found.push(path)
  }
  return found
}

function copyWithLibraries(program: string, root: string, as: string): void {
  copyFileSync(program, join(root, as))
  for (const [, path = ""] of run("ldd", [program]).stdout.matchAll(/(\/\S+) \(0x/g)) {
    mkdirSync(join(root, dirname(path)), { recursive: true })
    copyFileSync(path, join(root, path))
  }
}

/** Builds the initramfs around `script` and returns its path. */
function makeInitramfs(script: string, version: string, directory: string): string {
  const root = join(directory, "root")
  for (const inner of ["bin", "proc", "sys", "dev", "tmp", "run", "etc", "modules", "var/lib"])
    mkdirSync(join(root, inner), { recursive: true })
  const busybox = ["/bin/busybox", "/usr/bin/busybox"].find(existsSync) ?? "/bin/busybox"
  copyFileSync(busybox, join(root, "bin", "busybox"))
  for (const applet of run(busybox, ["--list"])
    .stdout.split("\n")
    .filter((name) => name !== "" && name !== "busybox"))
    symlinkSync("busybox", join(root, "bin", applet))
  copyWithLibraries(process.env.SLOOP_BIN ?? join(projectRoot, "dist", "sloop"), root, "bin/sloop")
  copyFileSync(join(projectRoot, ".cache", "busybox.tar"), join(root, "busybox.tar"))
  const files = moduleFiles(version)
  for (const file of files) copyFileSync(file, join(root, "modules", basename(file)))
  const insmods = files.map((file) => `insmod /modules/${basename(file)}`).join("\n")
  writeFileSync(
    join(root, "init"),
    `#!/bin/sh\n${insmods}\n${script}\necho VM-DONE\necho o > /proc/sysrq-trigger\nsleep 60\n`,
    { mode: 0o755 },
  )
  const image = join(directory, "initramfs.cpio")
  const packed = run("sh", ["-c", `find . | cpio -o -H newc --quiet > ${image}`], { cwd: root })
  if (packed.status !== 0) throw new Error(`cpio failed: ${packed.stderr}`)
  return image
}

/** Boots, runs the script as init, and resolves with everything the console showed. */
export async function boot(script: string, seconds: number): Promise<string> {
  const version = kernelVersion()
  if (version === undefined) throw new Error("whyNot() was not asked first")
  const directory = mkdtempSync(join(tmpdir(), "vm-"))
  const image = makeInitramfs(script, version, directory)
  const words = [
    "-accel",
    "tcg,thread=multi",
    "-cpu",
    "max",
    "-smp",
    "2",
    "-m",
    "3072",
    "-nographic",
    "-no-reboot",
    "-nic",
    "none",
  ]
  const machine = spawn(
    "qemu-system-x86_64",
    [
      ...words,
      "-kernel",
      join(cache, "kernel", "boot", `vmlinuz-${version}`),
      "-initrd",
      image,
      "-append",
      "console=ttyS0 quiet panic=-1 cgroup_no_v1=all",
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  )
  let shown = ""
  const limit = setTimeout(() => machine.kill("SIGKILL"), seconds * 1000)
  const read = (chunk: Buffer) => {
    shown += chunk.toString("latin1")
    if (shown.includes("VM-DONE")) machine.kill("SIGKILL")
  }
  machine.stdout.on("data", read)
  machine.stderr.on("data", read)
  await new Promise((resolve) => machine.once("close", resolve))
  clearTimeout(limit)
  rmSync(directory, { recursive: true, force: true })
  return shown.replaceAll("\r", "")
}
