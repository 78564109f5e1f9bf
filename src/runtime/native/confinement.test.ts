// What a container cannot do, tried for real: system calls, devices, masks, limits.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { existsSync, readFileSync, readlinkSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { memberPids } from "../cgroup/files.ts"
import { x86_64 } from "../seccomp/syscall-tables.ts"
import { compileInto, type Machine, openMachine } from "../testing/machine.ts"

let machine: Machine
beforeAll(async () => {
  machine = await openMachine()
  compileInto(machine.lower, "try-call", callProgram)
  compileInto(machine.lower, "eat", eatProgram)
})
afterAll(() => machine.close())

/** try-call NUMBER ARG…: prints 0 or the errno. */
const callProgram = `
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/syscall.h>
int main(int count, char **words) {
  long args[6] = {0};
  for (int i = 2; i < count && i < 8; i++) args[i - 2] = strtol(words[i], 0, 0);
  long result = syscall(strtol(words[1], 0, 0), args[0], args[1], args[2], args[3], args[4], args[5]);
  printf("%d\\n", result < 0 ? errno : 0);
  return 0;
}`

/** eat MIB: touches so much memory. */
const eatProgram = `
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int count, char **words) {
  for (int i = 0; i < atoi(words[1]); i++) {
    char *block = malloc(1 << 20);
    if (!block) return 1;
    memset(block, i + 1, 1 << 20);
  }
  puts("full");
  return 0;
}`

const eperm = 1
const enosys = 38

test.skipIf(process.arch !== "x64")("the default filter answers as the profile says", async () => {
  const tried = [
    ["socket", [38, 5, 0], eperm], // AF_ALG
    ["socket", [40, 1, 0], eperm], // AF_VSOCK
    ["socket", [2, 1, 0], 0],
    ["keyctl", [0, -3, 0], eperm],
    ["add_key", [0, 0, 0, 0, 0], eperm],
    ["bpf", [0, 0, 0], eperm],
    ["io_uring_setup", [1, 0], eperm],
    ["userfaultfd", [1], eperm],
    ["unshare", [0x10000000], eperm],
    ["setns", [0, 0], eperm],
    ["mount", [0, 0, 0, 0, 0], eperm],
    ["open_by_handle_at", [0, 0, 0], eperm],
    ["personality", [0x40000], eperm],
    ["clone3", [0, 0], enosys],
    ["getpid", [], 0],
  ] as const
  const script = tried.map(([name, args]) => `try-call ${x86_64.get(name)} ${args.join(" ")}`).join("; ")
  const { output } = await machine.run(["sh", "-c", script])
  expect(output.trim().split("\n").map(Number)).toEqual(tried.map(([, , errno]) => errno))
  // Clone with a new user namespace, and an x32 number.
  const more = await machine.run(["sh", "-c", "try-call 56 0x10000011; try-call 0x40000027"])
  expect(more.output.trim().split("\n").map(Number)).toEqual([eperm, enosys])
})

test.skipIf(process.arch !== "x64")("unconfined, privileged and own profiles are what they say", async () => {
  const keyctl = ["try-call", String(x86_64.get("keyctl")), "0", "-3", "0"]
  const result = async (config: Parameters<Machine["run"]>[1], argv = keyctl) =>
    Number((await machine.run(argv, config)).output)
  expect(await result({ securityOptions: ["seccomp=unconfined"] })).not.toBe(eperm)
  expect(await result({ privileged: true })).not.toBe(eperm)
  const own = {
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ names: ["uname"], action: "SCMP_ACT_ERRNO", errnoRet: 99 }],
  }
  const uname = ["try-call", String(x86_64.get("uname")), "0"]
  expect(await result({ securityOptions: [`seccomp=${JSON.stringify(own)}`] }, uname)).toBe(99)
})

test("no-new-privileges, capabilities and ids are as asked", async () => {
  const status = async (config: Parameters<Machine["run"]>[1]) =>
    (await machine.run(["cat", "/proc/self/status"], config)).output
  const plain = await status({})
  expect(plain).toContain("NoNewPrivs:\t0")
  for (const set of ["Inh", "Amb"]) expect(plain).toContain(`Cap${set}:\t0000000000000000`)
  for (const set of ["Prm", "Eff", "Bnd"]) expect(plain).toContain(`Cap${set}:\t00000000a80425fb`)
  const asked = await status({ securityOptions: ["no-new-privileges"], user: "bob", groupAdd: ["77"] })
  expect(asked).toContain("NoNewPrivs:\t1")
  expect(asked).toMatch(/Uid:\t1000\t1000\t1000\t1000/)
  expect(asked).toMatch(/Groups:\t(77 1000 2000|1000 2000 77|77 2000|2000 77)/)
  expect(asked).toContain("CapEff:\t0000000000000000")
})

test("kernel files are hidden or read-only, and open when asked for", async () => {
  const script =
    "wc -c < /proc/keys; ls /sys/firmware | wc -l; echo 1 > /proc/sys/kernel/panic; touch /sys/fs/cgroup/x; mount | grep -c 'proc/sys '"
  const { output } = await machine.run(["sh", "-c", script])
  expect(output).toMatch(/^0\n0\n/)
  expect(output).toContain("/proc/sys/kernel/panic: Read-only file system")
  expect(output).toContain("/sys/fs/cgroup/x: Read-only file system")
  const open = await machine.run(["sh", "-c", "mount | grep -c 'proc/' "], {
    securityOptions: ["systempaths=unconfined"],
  })
  expect(open.output).toBe("0\n")
})

test("a node of the host's disk can be made but not opened", async () => {
  const disk = ["/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/loop0"].find((path) => existsSync(path))
  const numbers = disk?.includes("loop") === true || disk === undefined ? "7 0" : "254 0"
  const { output } = await machine.run([
    "sh",
    "-c",
    `mknod /disk b ${numbers} && echo made; head -c 1 /disk; mknod /kmsg c 1 11; head -c 1 /kmsg; head -c 1 /dev/zero | wc -c`,
  ])
  expect(output).toContain("made\n")
  expect(output).toContain("/disk: Operation not permitted")
  expect(output).toContain("/kmsg: Operation not permitted")
  expect(output).toContain("1\n")
})

test("a device given is there and can be used", async () => {
  const device = { hostPath: "/dev/kmsg", containerPath: "/dev/given", access: "rw" }
  const { output } = await machine.run(["sh", "-c", "ls -l /dev/given; head -c 0 /dev/given && echo open"], {
    resources: { devices: [device] },
    capAdd: ["SYSLOG"],
  })
  expect(output).toMatch(/^crw.* 1, +11 .*\/dev\/given\n/)
  expect(output).toContain("open\n")
})

test("privileged: the host's devices and every capability of the engine", async () => {
  const { capabilities } = await machine.kernel.features()
  const { output } = await machine.run(
    [
      "sh",
      "-c",
      "grep CapEff /proc/self/status; ls -l /dev/kmsg; touch /sys/x; echo 0 > /proc/sys/kernel/core_uses_pid; echo done $?",
    ],
    { privileged: true },
  )
  expect(output).toContain(`CapEff:\t${capabilities.toString(16).padStart(16, "0")}`)
  expect(output).toContain("/dev/kmsg")
  expect(output).toContain("done 0")
})

test("limits stand in the live cgroup, and can be changed", async () => {
  const request = machine.request(["sleep", "100"], {
    resources: {
      memory: 64 << 20,
      memorySwap: 64 << 20,
      nanoCpus: 5e8,
      cpuShares: 512,
      pids: 20,
      cpusetCpus: "0",
    },
  })
  const task = await machine.launch(request)
  const layout = await machine.layout(request)
  const limits = () =>
    layout.unified === undefined
      ? [
          readFileSync(`${layout.directories.get("memory")}/memory.limit_in_bytes`, "utf8"),
          readFileSync(`${layout.directories.get("cpu")}/cpu.cfs_quota_us`, "utf8"),
          readFileSync(`${layout.directories.get("pids")}/pids.max`, "utf8"),
          readFileSync(`${layout.directories.get("cpuset")}/cpuset.cpus`, "utf8"),
        ].map((text) => text.trim())
      : [
          readFileSync(`${layout.unified}/memory.max`, "utf8"),
          readFileSync(`${layout.unified}/cpu.max`, "utf8").split(" ")[0] ?? "",
          readFileSync(`${layout.unified}/pids.max`, "utf8"),
          readFileSync(`${layout.unified}/cpuset.cpus`, "utf8"),
        ].map((text) => text.trim())
  expect(limits()).toEqual(["67108864", "50000", "20", "0"])
  const reading = await task.read()
  expect(reading).toMatchObject({ memoryLimit: 64 << 20, pidsLimit: 20, pids: 1 })
  expect(reading.cpuTotal).toBeGreaterThan(0)
  expect(reading.hostCpuTotal).toBeGreaterThan(reading.cpuTotal)
  expect(reading.memoryUsage).toBeGreaterThan(0)
  expect(await task.pids()).toEqual([task.pid])
  await task.update({ memory: 128 << 20, memorySwap: 256 << 20, nanoCpus: 1e9, pids: -1 })
  expect(limits()).toEqual(["134217728", "100000", "max", "0"])
  await task.update({ memory: 32 << 20, memorySwap: 32 << 20 })
  expect(limits()[0]).toBe("33554432")
  await expect(task.update({ memory: 1 << 20 })).rejects.toThrow("Minimum memory limit allowed is 6MB")
  await expect(task.update({ nanoCpus: 1e12 })).rejects.toThrow("range of CPUs is from")
  if (layout.unified === undefined)
    await expect(task.update({ memory: 64 << 20 })).rejects.toThrow(
      "smaller than already set memoryswap limit",
    )
  expect(limits()[0]).toBe("33554432")
  await task.signal(9)
  await task.exited
  await machine.runtime.clean(request)
})

test("out of memory is a kill with a reason that can be seen", async () => {
  const { code, oom } = await machine.run(["eat", "64"], {
    resources: { memory: 16 << 20, memorySwap: 16 << 20 },
  })
  expect({ code, oom }).toEqual({ code: 137, oom: true })
  expect(await machine.run(["eat", "4"], { resources: { memory: 32 << 20 } })).toMatchObject({
    code: 0,
    oom: false,
  })
})

test("the number of processes is limited", async () => {
  const { output } = await machine.run(
    ["sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done; echo done"],
    { resources: { pids: 5 } },
  )
  expect(output).toContain("can't fork")
})

test("ulimits below the hard limit hold", async () => {
  const { output } = await machine.run(["sh", "-c", "ulimit -n"], {
    resources: { ulimits: [{ name: "nofile", soft: 123, hard: 200 }] },
  })
  expect(output).toBe("123\n")
})

test("with init, PID 1 is not the command, and it reaps", async () => {
  const { output } = await machine.run(
    ["sh", "-c", "echo $$; (sleep 0.01 &) ; sleep 0.1; ps -o pid,stat,args"],
    {
      init: true,
    },
  )
  expect(output).not.toMatch(/^1\n/)
  expect(output).not.toMatch(/ Z /)
})

test("sysctls of the container's own namespaces are set", async () => {
  await machine.kernel.perform([["netns-create"], ["name", `rt-${machine.lower.slice(-12, -6)}`]])
  const name = `rt-${machine.lower.slice(-12, -6)}`
  const { output } = await machine.run(
    [
      "sh",
      "-c",
      "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/core/somaxconn /proc/sys/kernel/msgmax",
    ],
    { networkMode: "none", sysctls: { "net.core.somaxconn": "77", "kernel.msgmax": "4096" } },
    { networkNamespace: `held:${name}` },
  )
  await machine.kernel.perform([["netns-drop"], ["name", name]])
  expect(output).toBe("0\n77\n4096\n")
})

test("the host's namespaces are the host's", async () => {
  const request = machine.request(
    [
      "sh",
      "-c",
      "for kind in pid ipc uts cgroup; do readlink /proc/self/ns/$kind; done; ls /sys/fs/cgroup; cat /proc/self/cgroup; sleep 100 & exit 0",
    ],
    {
      networkMode: "host",
      pidMode: "host",
      ipcMode: "host",
      utsMode: "host",
      cgroupnsMode: "host",
    },
  )
  const task = await machine.launch(request)
  await task.exited
  const layout = await machine.layout(request)
  await sleep(20)
  // What init left behind in the host's pid namespace was killed with it.
  expect(memberPids(layout.members)).toEqual([])
  await machine.runtime.clean(request)
  const own = ["pid", "ipc", "uts", "cgroup"].map((kind) => readlinkSync(`/proc/self/ns/${kind}`))
  expect(machine.output(request).split("\n").slice(0, 4)).toEqual(own)
  expect(machine.output(request)).toContain(request.id)
})
