// Flags that need no story: block I/O, platforms, runtimes, and clear refusals of what this engine does not have.
import { afterAll, expect } from "bun:test"
import { statSync } from "node:fs"
import { join } from "node:path"
import { eventually, startEngine } from "../fixtures/engine.ts"
import { proof } from "./proof.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { docker, ok, work } = engine
const run = (...flags: string[]) => docker("run", "--rm", ...flags, "busybox", "echo", "ran")
const runs = async (...flags: string[]) => expect((await run(...flags)).stdout).toBe("ran\n")
const refused = async (reason: string | RegExp, ...flags: string[]) => {
  const result = await run(...flags)
  expect(result.code).toBe(125)
  if (typeof reason === "string") expect(result.stderr).toContain(reason)
  else expect(result.stderr).toMatch(reason)
}

proof(
  ["run --device-read-bps", "run --device-read-iops", "run --device-write-bps", "run --device-write-iops"],
  "block device throttles",
  async () => {
    const { rdev } = statSync("/dev/loop0", { throwIfNoEntry: false }) ?? { rdev: 0 }
    if (rdev === 0) return
    const throttle = "/sys/fs/cgroup/blkio/blkio.throttle"
    const flags = [
      "--device-read-bps",
      "/dev/loop0:1mb",
      "--device-write-bps",
      "/dev/loop0:2mb",
      "--device-read-iops",
      "/dev/loop0:30",
      "--device-write-iops",
      "/dev/loop0:40",
    ]
    const files = ["read_bps", "write_bps", "read_iops", "write_iops"].map(
      (name) => `${throttle}.${name}_device`,
    )
    expect(await ok("run", "--rm", ...flags, "busybox", "cat", ...files)).toBe(
      "7:0 1048576\n7:0 2097152\n7:0 30\n7:0 40",
    )
    expect((await run("--device-read-bps", "/dev/nosuch:1mb")).stderr).toContain("/dev/nosuch")
  },
)

proof(
  [
    "run --cpuset-mems",
    "update --cpuset-cpus",
    "update --cpuset-mems",
    "update --cpu-quota",
    "update --cpu-period",
    "update --memory-swap",
    "update --memory-reservation",
  ],
  "memory nodes, and more updates",
  async () => {
    expect(
      await ok("run", "--rm", "--cpuset-mems", "0", "busybox", "cat", "/sys/fs/cgroup/cpuset/cpuset.mems"),
    ).toBe("0")
    await refused("Requested memory nodes are not available", "--cpuset-mems", "99")
    await ok("run", "-d", "--name", "live", "-m", "64m", "busybox", "sleep", "100")
    await ok(
      "update",
      "--cpuset-cpus",
      "0",
      "--cpuset-mems",
      "0",
      "--cpu-quota",
      "30000",
      "--cpu-period",
      "60000",
      "--memory-reservation",
      "32m",
      "--memory-swap",
      "96m",
      "live",
    )
    const files = [
      "cpuset/cpuset.cpus",
      "cpu/cpu.cfs_quota_us",
      "cpu/cpu.cfs_period_us",
      "memory/memory.soft_limit_in_bytes",
      "memory/memory.memsw.limit_in_bytes",
    ]
    expect(await ok("exec", "live", "cat", ...files.map((file) => `/sys/fs/cgroup/${file}`))).toBe(
      `0\n30000\n60000\n${32 << 20}\n${96 << 20}`,
    )
    await ok("rm", "-f", "live")
  },
)

proof(["run --pull", "run --quiet", "run --disable-content-trust"], "--pull takes what is here", async () => {
  await runs("--pull", "never")
  await runs("--pull", "missing", "--quiet", "--disable-content-trust")
  const absent = await docker("run", "--rm", "--pull", "always", "127.0.0.1:1/busybox")
  expect(absent.stderr).toContain("127.0.0.1:1: connection refused")
})

proof(["run --platform"], "--platform must fit the image", async () => {
  const own = await ok("image", "inspect", "-f", "{{.Os}}/{{.Architecture}}", "busybox")
  await runs("--platform", own)
  const other = own.endsWith("arm64") ? "linux/amd64" : "linux/arm64"
  const result = await engine.docker("create", "--pull", "never", "--platform", other, "busybox")
  expect(result.stderr).toContain(`its platform (${own}) does not match the specified platform (${other})`)
  expect(await ok("ps", "-aq")).toBe("")
})

proof(["run --runtime", "run --isolation", "run --userns"], "one runtime, one isolation", async () => {
  await runs("--runtime", "runc", "--isolation", "default")
  await refused("unknown or invalid runtime name: kata", "--runtime", "kata")
  await refused("only 'default' isolation is supported on Linux", "--isolation", "hyperv")
})

proof(
  ["run --volume-driver", "volume create --driver", "volume create --opt", "volume create --label"],
  "one volume driver",
  async () => {
    await runs("--volume-driver", "local", "-v", "driven:/x")
    await ok("volume", "rm", "driven")
    await refused(/plugin "nfs" not found/, "--volume-driver", "nfs", "-v", "other:/x")
    expect((await docker("volume", "create", "-d", "nfs")).stderr).toContain('plugin "nfs" not found')
    expect((await docker("volume", "create", "-o", "nonsense=1")).stderr).toContain(
      'invalid option: "nonsense"',
    )
    await ok("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", `device=${work}`, "bound")
    await ok("run", "--rm", "-v", "bound:/b", "busybox", "touch", "/b/through-volume")
    expect(statSync(join(work, "through-volume")).isFile()).toBe(true)
    await ok("volume", "rm", "bound")
  },
)

proof(["run --health-start-interval"], "--health-start-interval", async () => {
  const flags = [
    "--health-cmd",
    "true",
    "--health-interval",
    "60s",
    "--health-start-period",
    "30s",
    "--health-start-interval",
    "100ms",
  ]
  const id = await ok("run", "-d", ...flags, "busybox", "sleep", "100")
  const status = () => ok("inspect", "-f", "{{.State.Health.Status}}", id)
  await eventually("it is healthy long before the interval", async () => (await status()) === "healthy")
  await ok("rm", "-f", id)
  await refused(
    "Interval in Healthcheck cannot be less than 1ms",
    "--health-cmd",
    "x",
    "--health-interval",
    "1ns",
  )
})

proof(["run --use-api-socket"], "--use-api-socket gives the engine's own socket", async () => {
  expect(
    await ok("run", "--rm", "--use-api-socket", "busybox", "stat", "-c", "%F", "/var/run/docker.sock"),
  ).toBe("socket")
})

proof([], "what this engine does not have is refused, not ignored", async () => {
  await refused("--storage-opt size is not supported", "--storage-opt", "size=1G")
  await refused("could not select device driver", "--gpus", "all")
  await refused("supported on user defined networks only", "--ip6", "fd00::2")
  await refused("network-scoped aliases are only supported for user-defined networks", "--network-alias", "x")
  await refused("no log driver named 'splunk' is registered", "--log-driver", "splunk")
  expect((await docker("network", "create", "-d", "overlay", "mine")).code).toBe(1)
  expect((await docker("network", "rm", "bridge")).stderr).toContain(
    "is a pre-defined network and cannot be removed",
  )
  expect((await docker("swarm", "init")).stderr).toContain("this engine has no swarm mode")
})

proof(
  [
    "images --digests",
    "images --tree",
    "history --human",
    "history --quiet",
    "history --format",
    "history --platform",
    "image inspect --platform",
    "image inspect --format",
    "save --platform",
    "load --platform",
    "import --platform",
    "rmi --no-prune",
  ],
  "flags of image verbs",
  async () => {
    expect(await ok("images", "--digests", "--format", "{{.Digest}}")).toBe("<none>")
    expect(await ok("images", "--tree")).toContain("busybox:latest")
    expect(await ok("history", "--human=false", "--format", "{{.Size}}", "busybox")).toMatch(/^\d{6,}$/)
    const own = await ok("image", "inspect", "-f", "{{.Os}}/{{.Architecture}}", "busybox")
    const id = await ok("image", "inspect", "--platform", own, "-f", "{{.Id}}", "busybox")
    expect(await ok("history", "-q", "--no-trunc", "--platform", own, "busybox")).toBe(id)
    const file = join(work, "platform.tar")
    await ok("save", "--platform", own, "-o", file, "busybox")
    expect(await ok("rmi", "--no-prune", "busybox")).toContain(`Deleted: ${id}`)
    await ok("load", "--platform", own, "-i", file)
    const root = join(work, "root.tar")
    const box = await ok("create", "busybox")
    await ok("export", "-o", root, box)
    await ok("rm", box)
    await ok("import", "--platform", "linux/s390x", root, "foreign")
    expect(await ok("image", "inspect", "-f", "{{.Os}}/{{.Architecture}}", "foreign")).toBe("linux/s390x")
    expect((await docker("rmi", "--platform", own, "foreign")).stderr).toContain("leave --platform out")
    await ok("rmi", "foreign")
    expect(await ok("image", "inspect", "-f", "{{.Id}}", "busybox")).toBe(id)
  },
)

proof(
  [
    "volume ls --quiet",
    "volume ls --format",
    "volume ls --filter",
    "volume rm --force",
    "volume prune --all",
    "volume prune --filter",
    "volume prune --force",
    "system df --verbose",
    "system df --format",
    "system prune --all",
    "system prune --volumes",
    "system prune --force",
    "system prune --filter",
    "container prune --force",
    "container prune --filter",
    "image prune --filter",
  ],
  "flags of prune, df and volume verbs",
  async () => {
    await ok("volume", "create", "--label", "a=b", "kept")
    const unnamed = await ok("volume", "create")
    await ok("create", "--name", "old", "--label", "a=b", "busybox")
    expect(await ok("volume", "ls", "-f", "label=a=b", "--format", "{{.Name}} {{.Driver}}")).toBe(
      "kept local",
    )
    expect(await ok("system", "df", "-v", "--format", "{{json .Volumes}}")).toContain('"kept"')
    expect(await ok("image", "prune", "-af", "--filter", "until=1h")).toBe("Total reclaimed space: 0B")
    expect(await ok("container", "prune", "-f", "--filter", "until=1h")).toBe("Total reclaimed space: 0B")
    expect(await ok("volume", "prune", "-af", "--filter", "label!=a=b", "--filter", "label=none")).toBe(
      "Total reclaimed space: 0B",
    )
    expect(await ok("system", "prune", "-f", "--filter", "label=a=c")).toBe("Total reclaimed space: 0B")
    const pruned = await ok("system", "prune", "-af", "--volumes")
    for (const word of ["Deleted Containers:", "Deleted Volumes:", unnamed, "Deleted Images:"])
      expect(pruned).toContain(word)
    expect(await ok("volume", "ls", "-q")).toBe("kept")
    await ok("volume", "rm", "-f", "kept", "absent")
  },
)

proof(
  [
    "stop --signal",
    "restart --signal",
    "exec --detach-keys",
    "start --detach-keys",
    "network ls --quiet",
    "network ls --filter",
    "network ls --format",
    "network ls --no-trunc",
    "network inspect --format",
    "network inspect --verbose",
    "network prune --force",
    "network prune --filter",
    "volume inspect --format",
    "info --format",
    "version --format",
    "rmi --force",
    "image prune --force",
  ],
  "odds and ends",
  async () => {
    const file = join(work, "image.tar")
    await ok("import", join(import.meta.dirname, "..", "..", ".cache", "busybox.tar"), "busybox:latest")
    await ok("save", "-o", file, "busybox")
    await ok(
      "run",
      "-d",
      "--name",
      "trap",
      "busybox",
      "sh",
      "-c",
      "trap 'exit 21' HUP; echo up; while :; do sleep 0.05; done",
    )
    await engine.says("trap", "up")
    await ok("restart", "-s", "HUP", "trap")
    await eventually("it is up again", async () => (await ok("logs", "trap")) === "up\nup")
    await ok("stop", "-s", "HUP", "trap")
    expect(await ok("inspect", "-f", "{{.State.ExitCode}}", "trap")).toBe("21")
    await ok("rm", "trap")
    expect(await ok("network", "ls", "-q", "--no-trunc", "-f", "name=bridge")).toMatch(/^[0-9a-f]{64}$/)
    expect(await ok("network", "inspect", "-f", "{{.Driver}}", "host")).toBe("host")
    expect(await ok("network", "inspect", "-v", "-f", "{{.Name}}", "none")).toBe("none")
    expect(await ok("network", "prune", "-f", "--filter", "until=1h")).toBe("")
    await ok("volume", "create", "shown")
    expect(await ok("volume", "inspect", "-f", "{{.Driver}}", "shown")).toBe("local")
    await ok("volume", "rm", "shown")
    expect(await ok("rmi", "-f", "busybox")).toContain("Untagged: busybox:latest")
  },
)
