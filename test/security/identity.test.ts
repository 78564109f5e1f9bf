// Who a container's process is, and what it may: users, groups, capabilities, cgroup.
import { afterAll, expect, test } from "bun:test"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { startEngine } from "../fixtures/engine.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { docker, ok } = engine

const status = (text: string): Map<string, string> =>
  new Map(
    text
      .split("\n")
      .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]),
  )
const own = ["cat", "/proc/self/status"]
const zero = "0000000000000000"
const dockers = "00000000a80425fb"

test("inheritable and ambient capabilities are zero, the bounding set is Docker's default (CVE-2022-24769)", async () => {
  const id = await ok("run", "-d", "busybox", "sleep", "60")
  const looks: [string, string[], string, string][] = [
    ["root", ["run", "--rm", "busybox"], dockers, dockers],
    ["a user", ["run", "--rm", "-u", "1000:1000", "busybox"], zero, dockers],
    [
      "an added capability",
      ["run", "--rm", "--cap-add", "SYS_TIME", "busybox"],
      "00000000aa0425fb",
      "00000000aa0425fb",
    ],
    [
      "a user with an added capability",
      ["run", "--rm", "-u", "7", "--cap-add", "SYS_TIME", "busybox"],
      zero,
      "00000000aa0425fb",
    ],
    ["nothing", ["run", "--rm", "--cap-drop", "ALL", "busybox"], zero, zero],
    ["exec", ["exec", id], dockers, dockers],
    ["exec as a user", ["exec", "-u", "1000", id], zero, dockers],
  ]
  for (const [who, words, effective, bounding] of looks) {
    const lines = status(await ok(...words, ...own))
    expect([who, lines.get("CapInh"), lines.get("CapAmb")]).toEqual([who, zero, zero])
    expect([who, lines.get("CapEff"), lines.get("CapPrm"), lines.get("CapBnd")]).toEqual([
      who,
      effective,
      effective,
      bounding,
    ])
  }
  const privileged = status(await ok("exec", "--privileged", id, ...own))
  expect(privileged.get("CapInh")).toBe(zero)
  expect(privileged.get("CapAmb")).toBe(zero)
  await ok("rm", "-f", id)
})

test("supplementary groups are exactly the user's (CVE-2022-36109)", async () => {
  const groups = async (...words: string[]) => status(await ok(...words, ...own)).get("Groups")
  expect(await groups("run", "--rm", "-u", "1234:4321", "busybox")).toBe("4321")
  expect(await groups("run", "--rm", "-u", "1234", "busybox")).toBe("0")
  expect(await groups("run", "--rm", "-u", "www-data", "busybox")).toBe("33")
  expect(await groups("run", "--rm", "-u", "1234:4321", "--group-add", "777", "busybox")).toBe("777 4321")
  // The engine's own groups are not handed down, nor through a setgid that the image's tables claim.
  const id = await ok(
    "run",
    "-d",
    "busybox",
    "sh",
    "-c",
    "printf 'evil:x:5000:5000::/:/bin/sh\\n' >> /etc/passwd; printf 'grp:x:6000:evil\\nshadow2:x:6001:evil,\\n' >> /etc/group; sleep 60",
  )
  expect(await groups("exec", "-u", "evil", id)).toBe("5000 6000 6001")
  expect(await groups("exec", "-u", "evil:7000", id)).toBe("7000")
  await ok("rm", "-f", id)
})

/** Nothing of these is a user; none may ever come out as root. */
const nobodies = [
  "4294967296",
  "4294967295",
  "2147483648",
  "99999999999999999999",
  "-1",
  "+0",
  "00",
  "0x0",
  "0x10",
  "01000",
  "1e3",
  "NaN",
  "null",
  "０",
  " 0",
  "0 ",
  "0\n",
  "1000:4294967296",
  "1000:-1",
  "1000:00",
  "1000:NaN",
  "1000:0:0",
]

test("user ids out of range, and what is no number, are refused (CVE-2024-40635)", async () => {
  const id = await ok("run", "-d", "busybox", "sleep", "60")
  await Promise.all(
    nobodies.map(async (user) => {
      const run = await docker("run", "--rm", "-u", user, "busybox", "id")
      expect([user, run.stdout]).toEqual([user, ""])
      expect([user, run.code]).not.toEqual([user, 0])
      const exec = await docker("exec", "-u", user, id, "id")
      expect([user, exec.stdout.includes("uid=")]).toEqual([user, false])
      expect([user, exec.code]).not.toEqual([user, 0])
    }),
  )
  // By an image, and by what its own tables say.
  await ok("commit", "-c", "USER 4294967296", id, "large")
  const large = await docker("run", "--rm", "large", "id")
  expect([large.code === 0, large.stdout]).toEqual([false, ""])
  const tables = [
    "evil:x:4294967296:0::/:/bin/sh",
    "evil:x:-1:0::/:/bin/sh",
    "evil:x:00:00::/:/bin/sh",
    "evil:x::::/:/bin/sh",
    "evil:x:0x0:0::/:/bin/sh",
  ]
  for (const line of tables) {
    await ok("exec", id, "sh", "-c", `echo '${line}' > /etc/passwd`)
    const exec = await docker("exec", "-u", "evil", id, "id")
    expect([line, exec.code === 0, exec.stdout.includes("uid=")]).toEqual([line, false, false])
  }
  await ok("rm", "-f", id)
  await ok("rmi", "large")
}, 60_000)

const cgroupOf = (pid: string, controller: string): string => {
  const lines = readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().split("\n")
  for (const line of lines) {
    const [, names = "", path = ""] = line.split(":")
    if (names.split(",").includes(controller)) return join("/sys/fs/cgroup", names, path)
  }
  const unified = lines.find((line) => line.startsWith("0::"))?.slice(3) ?? ""
  const mixed = join("/sys/fs/cgroup/unified", unified)
  return existsSync(mixed) ? mixed : join("/sys/fs/cgroup", unified)
}

test("a container cannot raise its limits: its cgroups are read-only and only its own (CVE-2023-25809)", async () => {
  const attack = [
    "find /sys/fs/cgroup -type f 2>/dev/null | while read f; do echo 1000000000 2>/dev/null > $f && echo WROTE $f; done",
    "find /sys/fs/cgroup -type d 2>/dev/null | while read d; do mkdir $d/evil 2>/dev/null && echo MADE $d; done",
    "mount -o remount,rw /sys/fs/cgroup 2>/dev/null && echo REMOUNTED",
    "mount -t cgroup -o memory none /tmp 2>/dev/null && echo MOUNTED",
    "cat /proc/self/cgroup",
    "echo done; sleep 60",
  ]
  const flags = ["--memory", "64m", "--pids-limit", "50", "--cpus", "0.5"]
  const id = await ok("run", "-d", ...flags, "busybox", "sh", "-c", attack.join(" 2>&1; "))
  for (let tries = 0; tries < 500 && !(await ok("logs", id)).includes("done"); tries++) await Bun.sleep(20)
  const output = await ok("logs", id)
  expect(output).not.toMatch(/WROTE|MADE|MOUNTED/)
  // Its cgroup is the root of what it sees.
  for (const line of output.split("\n").filter((text) => /^\d+:/.test(text))) expect(line).toMatch(/:\/$/)
  const pid = await ok("inspect", "-f", "{{.State.Pid}}", id)
  const read = (controller: string, ...files: string[]) =>
    files
      .map((file) => join(cgroupOf(pid, controller), file))
      .filter(existsSync)
      .map((path) => readFileSync(path, "utf8").trim())
  expect(read("memory", "memory.limit_in_bytes", "memory.max")).toEqual([String(64 << 20)])
  expect(read("pids", "pids.max")).toEqual(["50"])
  expect(read("cpu", "cpu.cfs_quota_us", "cpu.max")[0]).toMatch(/^50000( 100000)?$/)
  expect(existsSync(join(cgroupOf(pid, "memory"), "evil"))).toBe(false)
  await ok("rm", "-f", id)
}, 60_000)

test("release_agent and core_pattern cannot be set by a container", async () => {
  const script =
    "for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/sys/vm/panic_on_oom /sys/kernel/uevent_helper; do echo '|/evil' 2>/dev/null > $f && echo WROTE $f; done; true"
  expect((await docker("run", "--rm", "busybox", "sh", "-c", script)).stdout).toBe("")
  // With the right to mount, the files of a new procfs are the kernel's own; without it there is no way to one.
  const remount = "mount -t proc proc /tmp 2>&1 || mount -o remount,rw /proc/sys 2>&1 || echo refused"
  expect((await docker("run", "--rm", "busybox", "sh", "-c", remount)).stdout).toContain("refused")
})

test("devices that were not given cannot be opened, even by a node that the container makes", async () => {
  const script =
    "for d in 'b 8 0' 'b 259 0' 'b 254 0' 'c 1 1' 'c 1 2' 'c 10 200'; do rm -f /n; mknod /n $d && { head -c 1 /n >/dev/null 2>&1 && echo \"READ $d\"; }; done; true"
  expect((await docker("run", "--rm", "busybox", "sh", "-c", script)).stdout).toBe("")
})
