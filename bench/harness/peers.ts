// The engines under comparison, each private to this run: Sloop, dockerd with containerd, podman's own client.
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { command } from "./measure.ts"

const projectRoot = join(import.meta.dirname, "..", "..")
export const sloopBinary = process.env.SLOOP_BIN ?? join(projectRoot, "dist", "sloop")
export const baseImage = join(projectRoot, ".cache", "busybox.tar")

export interface Peer {
  readonly name: string
  /** Words that precede a docker verb. */
  readonly client: readonly string[]
  /** Pids that make up the idle engine. */
  pids(): number[]
  close(): Promise<void>
}

const has = (name: string) => spawnSync("sh", ["-c", `command -v ${name}`]).status === 0
const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

function start(words: readonly string[], log: string): ChildProcess {
  const out = openSync(log, "a")
  return spawn(words[0] ?? "", words.slice(1), { stdio: ["ignore", out, out], detached: true })
}

async function answers(client: readonly string[], what: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (spawnSync(client[0] ?? "", [...client.slice(1), "version"], { stdio: "ignore" }).status === 0) return
    await sleep(100)
  }
  throw new Error(`${what} did not answer within 20 s`)
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once("exit", resolve))
  child.kill("SIGTERM")
  await Promise.race([ended, sleep(15_000)])
}

const importBase = (client: readonly string[]): Promise<void> =>
  command([...client, "import", baseImage, "busybox:latest"])

/** A private Sloop engine. `more` are additional daemon flags. */
export async function startSloop(
  name = "sloop",
  more: readonly string[] = [],
): Promise<Peer & { socket: string; directory: string }> {
  const directory = mkdtempSync(join(tmpdir(), "sb-"))
  const socket = join(directory, "s.sock")
  const daemon = start(
    [
      sloopBinary,
      "daemon",
      "--data-root",
      join(directory, "data"),
      "--run-root",
      join(directory, "run"),
      "-H",
      `unix://${socket}`,
      "--stop-containers-on-exit",
      ...more,
    ],
    join(directory, "daemon.log"),
  )
  const client = ["docker", "-H", `unix://${socket}`]
  await answers(client, `sloop daemon (log: ${directory}/daemon.log)`)
  await importBase(client)
  return {
    name,
    client,
    socket,
    directory,
    pids: () => [daemon.pid ?? 0, ...launcherPids(directory)],
    close: async () => {
      await end(daemon)
      for (const pid of launcherPids(directory)) process.kill(pid, "SIGTERM")
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function launcherPids(directory: string): number[] {
  const found = spawnSync("pgrep", ["-f", `serve ${directory}/run`], { encoding: "utf8" })
  return found.stdout.split("\n").filter(Boolean).map(Number)
}

/**
 * dockerd with its containerd, or undefined where it is not installed. `networked: false` gives it no bridge of its own and
 * keeps it off the machine's firewall, which then is not restored at the end either.
 */
export async function startDocker({
  networked = true,
} = {}): Promise<(Peer & { socket: string }) | undefined> {
  if (!has("dockerd") || !has("containerd")) return undefined
  const directory = mkdtempSync(join(tmpdir(), "sb-docker-"))
  const containerdSocket = join(directory, "c.sock")
  const socket = join(directory, "d.sock")
  const containerd = start(
    [
      "containerd",
      "--root",
      join(directory, "c"),
      "--state",
      join(directory, "cs"),
      "--address",
      containerdSocket,
    ],
    join(directory, "containerd.log"),
  )
  for (let attempt = 0; attempt < 100 && !existsSync(containerdSocket); attempt++) await sleep(50)
  const dockerd = start(
    [
      "dockerd",
      "--data-root",
      join(directory, "d"),
      "--exec-root",
      join(directory, "e"),
      "-p",
      join(directory, "pid"),
      "-H",
      `unix://${socket}`,
      "--containerd",
      containerdSocket,
      ...(networked ? [] : ["--bridge=none", "--iptables=false", "--ip6tables=false"]),
    ],
    join(directory, "dockerd.log"),
  )
  const client = ["docker", "-H", `unix://${socket}`]
  await answers(client, `dockerd (log: ${directory}/dockerd.log)`)
  await importBase(client)
  return {
    name: "docker",
    client,
    socket,
    pids: () => [dockerd.pid ?? 0, containerd.pid ?? 0],
    close: async () => {
      await end(dockerd)
      await end(containerd)
      if (networked) restoreFirewall()
      unmountBeneath(directory)
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** dockerd may leave namespaces and layers mounted when it ends. */
function unmountBeneath(directory: string): void {
  const mounted = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((path) => path.startsWith(`${directory}/`))
  for (const path of mounted.reverse()) spawnSync("umount", ["--lazy", path])
}

/** dockerd leaves its bridge and rules behind, with a FORWARD policy that drops everybody's packets. */
function restoreFirewall(): void {
  for (const words of ["-P FORWARD ACCEPT", "-F", "-t nat -F", "-X", "-t nat -X"])
    spawnSync("iptables", words.split(" "))
  spawnSync("ip", ["link", "del", "docker0"])
}

const podmanBridge = "cni-podman0"
const podmanNames = "/run/netns"

const isMounted = (path: string): boolean =>
  readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .some((line) => line.split(" ")[4] === path)

/** podman's own client and storage, or undefined where it is not installed. */
export async function startPodman(): Promise<Peer | undefined> {
  if (!has("podman")) return undefined
  const hadBridge = existsSync(`/sys/class/net/${podmanBridge}`)
  const hadNames = existsSync(podmanNames)
  const directory = mkdtempSync(join(tmpdir(), "sb-podman-"))
  for (const inner of ["root", "run", "tmp"]) mkdirSync(join(directory, inner))
  const client = [
    "podman",
    "--root",
    join(directory, "root"),
    "--runroot",
    join(directory, "run"),
    "--tmpdir",
    join(directory, "tmp"),
    "--runtime",
    "runc",
    "--cgroup-manager",
    "cgroupfs",
  ]
  try {
    await importBase(client)
  } catch (error) {
    console.log(
      `podman is installed but does not work here: ${error instanceof Error ? error.message : error}`,
    )
    return undefined
  }
  return {
    name: "podman",
    client,
    pids: () => [],
    close: async () => {
      spawnSync(client[0] ?? "", [...client.slice(1), "system", "reset", "--force"], { stdio: "ignore" })
      // Its bridge stays behind with a subnet that others may want, and a mount for names of namespaces.
      if (!hadBridge) spawnSync("ip", ["link", "del", podmanBridge], { stdio: "ignore" })
      if (!hadNames && isMounted(podmanNames)) {
        spawnSync("umount", [podmanNames], { stdio: "ignore" })
        rmdirSync(podmanNames)
      }
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** What podman's run needs on a machine without CAP_SYS_RESOURCE. */
export const podmanLimits = ["--ulimit", "nofile=20000:20000", "--ulimit", "nproc=1024:1024"]
