// Where cgroups are mounted, on the three kinds of machines.
import { expect, test } from "bun:test"
import { parseCgroupMounts } from "./features.ts"

const line = (path: string, type: string, options: string): string =>
  `30 25 0:26 / ${path} rw,relatime shared:9 - ${type} ${type} rw,${options}`

test("a hybrid machine has v1 controllers beside an empty v2 hierarchy", () => {
  const found = parseCgroupMounts(
    [
      line("/", "ext4", "errors=remount-ro"),
      line("/sys/fs/cgroup/cpu,cpuacct", "cgroup", "cpu,cpuacct"),
      line("/sys/fs/cgroup/memory", "cgroup", "memory"),
      line("/sys/fs/cgroup/systemd", "cgroup", "xattr,name=systemd"),
      line("/sys/fs/cgroup/unified", "cgroup2", "nsdelegate"),
    ].join("\n"),
  )
  expect(found.cgroupMode).toBe("hybrid")
  expect(found.cgroupV2).toBe("/sys/fs/cgroup/unified")
  expect(Object.fromEntries(found.cgroupV1)).toEqual({
    cpu: "/sys/fs/cgroup/cpu,cpuacct",
    cpuacct: "/sys/fs/cgroup/cpu,cpuacct",
    memory: "/sys/fs/cgroup/memory",
    "name=systemd": "/sys/fs/cgroup/systemd",
  })
})

test("a v2 machine has one hierarchy, a v1 machine has none of that", () => {
  expect(parseCgroupMounts(line("/sys/fs/cgroup", "cgroup2", "nsdelegate"))).toEqual({
    cgroupMode: "v2",
    cgroupV1: new Map(),
    cgroupV2: "/sys/fs/cgroup",
  })
  expect(parseCgroupMounts(line("/sys/fs/cgroup/pids", "cgroup", "pids")).cgroupMode).toBe("v1")
})

test("a mount point's escapes are undone, and the first of several counts", () => {
  const found = parseCgroupMounts(
    [line("/a\\040b/pids", "cgroup", "pids"), line("/other/pids", "cgroup", "pids")].join("\n"),
  )
  expect(found.cgroupV1.get("pids")).toBe("/a b/pids")
})
