// What docker run confines: capabilities, seccomp, privileges, paths, limits, sysctls, cgroups.
import { afterAll, expect } from "bun:test"
import { existsSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { eventually, startEngine } from "../fixtures/engine.ts"
import { proof } from "./proof.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { docker, ok, work } = engine
const run = (...args: string[]) => ok("run", "--rm", ...args)
const shell = (flags: string[], script: string) => run(...flags, "busybox", "sh", "-c", script)

interface Masks {
  readonly inheritable: string
  readonly permitted: string
  readonly effective: string
  readonly bounding: string
  readonly ambient: string
}

/** The capability masks of a process in a container with these flags. */
const masks = async (...flags: string[]): Promise<Masks> => {
  const text = await shell(flags, "grep ^Cap /proc/self/status")
  const of = (name: string) => new RegExp(`^Cap${name}:\\t([0-9a-f]+)$`, "m").exec(text)?.[1] ?? ""
  return {
    inheritable: of("Inh"),
    permitted: of("Prm"),
    effective: of("Eff"),
    bounding: of("Bnd"),
    ambient: of("Amb"),
  }
}
const root = (mask: string): Masks => ({
  inheritable: "0000000000000000",
  permitted: mask,
  effective: mask,
  bounding: mask,
  ambient: "0000000000000000",
})

/** What this machine's own root may have: nothing can be given that the engine lacks. */
const machine = BigInt(`0x${/^CapBnd:\t(.*)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0"}`)
const hex = (mask: bigint) => mask.toString(16).padStart(16, "0")
const standard = 0xa80425fbn

proof(["run --cap-add", "run --cap-drop"], "capability masks are exact", async () => {
  expect(await masks()).toEqual(root(hex(standard)))
  expect(await masks("--cap-add", "SYS_ADMIN")).toEqual(root(hex(standard | (1n << 21n))))
  expect(await masks("--cap-add", "cap_net_admin", "--cap-drop", "CHOWN")).toEqual(
    root(hex((standard | (1n << 12n)) & ~1n)),
  )
  expect(await masks("--cap-drop", "ALL")).toEqual(root(hex(0n)))
  expect(await masks("--cap-drop", "ALL", "--cap-add", "NET_BIND_SERVICE")).toEqual(root(hex(1n << 10n)))
  expect(await masks("-u", "1000")).toEqual({ ...root(hex(0n)), bounding: hex(standard) })
  expect((await masks("--cap-add", "ALL")).effective).toBe(hex(machine))
  const unknown = await docker("run", "--rm", "--cap-add", "NONSENSE", "busybox", "true")
  expect(unknown.code).toBe(125)
  expect(unknown.stderr).toContain('invalid CapAdd: unknown capability: "CAP_NONSENSE"')
  const denied = await docker("run", "--rm", "--cap-drop", "CHOWN", "busybox", "chown", "33", "/etc/passwd")
  expect(denied.code).toBe(1)
})

proof(["run --privileged"], "--privileged lifts everything", async () => {
  expect((await masks("--privileged")).effective).toBe(hex(machine))
  const facts = await shell(
    ["--privileged"],
    "grep ^Seccomp: /proc/self/status; grep -c . /dev/null; test -e /dev/kmsg && echo kmsg; touch /proc/sys/kernel/x 2>&1 | grep -c Read-only; mount -t tmpfs none /mnt 2>/dev/null || mkdir -p /m && mount -t tmpfs none /m && echo mounted",
  )
  expect(facts).toContain("Seccomp:\t0")
  expect(facts).toContain("kmsg")
  expect(facts).toContain("mounted")
  const plain = await docker("run", "--rm", "busybox", "sh", "-c", "mkdir /m; mount -t tmpfs none /m")
  expect(plain.code).not.toBe(0)
})

proof(["run --security-opt"], "seccomp: the default, none, one's own", async () => {
  const filters = "grep ^Seccomp: /proc/self/status"
  expect(await shell([], filters)).toBe("Seccomp:\t2")
  expect(await shell(["--security-opt", "seccomp=unconfined"], filters)).toBe("Seccomp:\t0")
  const profile = join(work, "profile.json")
  writeFileSync(
    profile,
    JSON.stringify({
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 38 }],
    }),
  )
  const own = await docker("run", "--rm", "--security-opt", `seccomp=${profile}`, "busybox", "mkdir", "/x")
  expect(own.code).toBe(1)
  expect(own.stderr).toContain("Function not implemented")
  writeFileSync(profile, "{ nonsense")
  const broken = await docker("run", "--rm", "--security-opt", `seccomp=${profile}`, "busybox", "true")
  expect(broken.code).toBe(125)
  // unshare of a user namespace is what the default profile refuses to the unprivileged.
  expect((await docker("run", "--rm", "busybox", "unshare", "-U", "true")).stderr).toContain(
    "Operation not permitted",
  )
})

proof(["run --security-opt"], "no-new-privileges and systempaths", async () => {
  expect(await shell([], "grep ^NoNewPrivs /proc/self/status")).toBe("NoNewPrivs:\t0")
  expect(await shell(["--security-opt", "no-new-privileges"], "grep ^NoNewPrivs /proc/self/status")).toBe(
    "NoNewPrivs:\t1",
  )
  expect(await shell(["--security-opt", "no-new-privileges=false"], "grep ^NoNew /proc/self/status")).toBe(
    "NoNewPrivs:\t0",
  )
  const masked =
    "cat /proc/kcore | head -c 1 | wc -c; ls /sys/firmware | wc -l; grep ' /proc/sys ' /proc/mounts | grep -c ' ro,'"
  expect(await shell([], masked)).toBe("0\n0\n1")
  expect(
    await shell(
      ["--security-opt", "systempaths=unconfined"],
      "grep -cE ' /proc/(sys|kcore|keys) ' /proc/mounts || true",
    ),
  ).toBe("0")
  const unknown = await docker("run", "--rm", "--security-opt", "nonsense=1", "busybox", "true")
  expect(unknown.code).toBe(125)
  expect(unknown.stderr).toContain("nonsense")
})

proof(
  ["run --memory", "run --memory-swap", "run --memory-reservation", "run --oom-kill-disable"],
  "memory: the limit holds and its breach is told",
  async () => {
    const facts =
      "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory/memory.soft_limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory.low"
    expect(await shell(["-m", "64m", "--memory-reservation", "32m"], facts)).toBe(`${64 << 20}\n${32 << 20}`)
    const id = await ok(
      "run",
      "-d",
      "-m",
      "16m",
      "--memory-swap",
      "16m",
      "busybox",
      "sh",
      "-c",
      "sleep 0.1; head -c 64m /dev/zero | tail",
    )
    expect(await ok("wait", id)).toBe("137")
    expect(await ok("inspect", "-f", "{{.State.OOMKilled}}", id)).toBe("true")
    await ok("rm", id)
    const small = await docker("run", "--rm", "-m", "1m", "busybox", "true")
    expect(small.code).toBe(125)
    expect(small.stderr).toContain("Minimum memory limit allowed is 6MB")
    const swap = await docker("run", "--rm", "-m", "64m", "--memory-swap", "32m", "busybox", "true")
    expect(swap.stderr).toContain("Minimum memoryswap limit should be larger than memory limit")
  },
)

proof(
  ["run --cpus", "run --cpu-shares", "run --cpu-quota", "run --cpu-period", "run --cpuset-cpus"],
  "cpu limits",
  async () => {
    const read = (file: string) => `cat /sys/fs/cgroup/${file}`
    expect(await shell(["--cpus", "0.5"], read("cpu/cpu.cfs_quota_us"))).toBe("50000")
    expect(
      await shell(
        ["--cpu-quota", "20000", "--cpu-period", "50000"],
        `${read("cpu/cpu.cfs_quota_us")}; ${read("cpu/cpu.cfs_period_us")}`,
      ),
    ).toBe("20000\n50000")
    expect(await shell(["--cpu-shares", "512"], read("cpu/cpu.shares"))).toBe("512")
    expect(await shell(["--cpuset-cpus", "0"], `${read("cpuset/cpuset.cpus")}; nproc`)).toBe("0\n1")
    const many = await docker("run", "--rm", "--cpus", "1000", "busybox", "true")
    expect(many.code).toBe(125)
    expect(many.stderr).toMatch(/range of CPUs is from 0.01 to/i)
    const absent = await docker("run", "--rm", "--cpuset-cpus", "777", "busybox", "true")
    expect(absent.code).toBe(125)
    expect(absent.stderr).toContain("Requested CPUs are not available")
  },
)

proof(["run --pids-limit"], "--pids-limit", async () => {
  expect(await shell(["--pids-limit", "7"], "cat /sys/fs/cgroup/pids/pids.max")).toBe("7")
  const many = await docker(
    "run",
    "--rm",
    "--pids-limit",
    "5",
    "busybox",
    "sh",
    "-c",
    "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait",
  )
  expect(many.stderr).toContain("can't fork")
})

proof(["run --ulimit"], "--ulimit, and clear words above the hard limit", async () => {
  expect(await shell(["--ulimit", "nofile=100:200"], "ulimit -Sn; ulimit -Hn")).toBe("100\n200")
  expect(await shell(["--ulimit", "core=0"], "ulimit -c")).toBe("0")
  const hard = /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1]
  const above = Number(hard) + 1
  const result = await docker(
    "run",
    "--rm",
    "--ulimit",
    `nofile=${above}:${above}`,
    "busybox",
    "sh",
    "-c",
    "ulimit -n",
  )
  // With CAP_SYS_RESOURCE it may be raised.
  if ((machine & (1n << 24n)) !== 0n) expect(result.stdout).toBe(`${above}\n`)
  else {
    expect(result.code).toBe(125)
    expect(result.stderr).toMatch(/nofile|RLIMIT_NOFILE/i)
    expect(result.stderr).toMatch(/CAP_SYS_RESOURCE|hard limit/)
  }
  const wrong = await docker("run", "--rm", "--ulimit", "nofile=20:10", "busybox", "true")
  expect(wrong.code).toBe(125)
})

proof(["run --sysctl"], "--sysctl inside its own namespaces only", async () => {
  expect(
    await shell(
      ["--sysctl", "net.ipv4.ip_unprivileged_port_start=77"],
      "cat /proc/sys/net/ipv4/ip_unprivileged_port_start",
    ),
  ).toBe("77")
  expect(await shell(["--sysctl", "kernel.msgmax=9000"], "cat /proc/sys/kernel/msgmax")).toBe("9000")
  const global = await docker("run", "--rm", "--sysctl", "vm.swappiness=1", "busybox", "true")
  expect(global.code).toBe(125)
  expect(global.stderr).toContain("vm.swappiness")
  const host = await docker(
    "run",
    "--rm",
    "--network",
    "host",
    "--sysctl",
    "net.ipv4.ip_forward=1",
    "busybox",
    "true",
  )
  expect(host.code).toBe(125)
})

proof(["run --cgroupns", "run --cgroup-parent"], "cgroup namespace and parent", async () => {
  const id = await ok("run", "-d", "busybox", "sleep", "60")
  expect(await ok("exec", id, "sh", "-c", "grep :pids: /proc/1/cgroup")).toMatch(/:\/$/)
  await ok("rm", "-f", id)
  expect(await shell(["--cgroupns", "host"], "grep :pids: /proc/self/cgroup")).toContain(
    `/${engine.cgroupParent}/`,
  )
  // Limits cannot be lifted from inside.
  expect(
    (
      await docker(
        "run",
        "--rm",
        "--pids-limit",
        "50",
        "busybox",
        "sh",
        "-c",
        "echo 100 > /sys/fs/cgroup/pids/pids.max",
      )
    ).stderr,
  ).toContain("Read-only file system")
  expect(
    await shell(
      ["--cgroup-parent", `${engine.cgroupParent}/below`, "--cgroupns", "host"],
      "grep :pids: /proc/self/cgroup",
    ),
  ).toContain(`/${engine.cgroupParent}/below/`)
  // The parent is the user's own.
  await eventually("the parent is empty", () => {
    for (const hierarchy of readdirSync("/sys/fs/cgroup")) {
      const directory = join("/sys/fs/cgroup", hierarchy, engine.cgroupParent, "below")
      if (!existsSync(directory)) continue
      try {
        rmdirSync(directory)
      } catch {
        return false
      }
    }
    return true
  })
})

proof(
  ["run --blkio-weight", "run --kernel-memory", "run --memory-swappiness"],
  "what a kernel lacks is warned of or applied",
  async () => {
    const result = await docker(
      "run",
      "--rm",
      "--memory-swappiness",
      "10",
      "busybox",
      "cat",
      "/sys/fs/cgroup/memory/memory.swappiness",
    )
    expect(result.stdout === "10\n" || result.stderr.includes("swappiness")).toBe(true)
    const weight = await docker("run", "--rm", "--blkio-weight", "300", "busybox", "echo", "ran")
    expect(weight.stdout).toBe("ran\n")
    const wild = await docker("run", "--rm", "--blkio-weight", "5", "busybox", "true")
    expect(wild.code).toBe(125)
    expect(wild.stderr).toContain("Range of blkio weight is from 10 to 1000")
  },
)
