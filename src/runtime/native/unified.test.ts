// Containers in the v2 hierarchy, as far as a hybrid machine has one: placing, devices by eBPF, freezer, killing.
// Limits are tested on v2 in test/cgroup2-vm, because a hybrid machine's v2 hierarchy has no controllers for them.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { existsSync, readFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { type Machine, openMachine } from "../testing/machine.ts"

let machine: Machine
beforeAll(async () => {
  machine = await openMachine({ unified: true })
})
afterAll(() => machine.close())

test("the container is in one cgroup, sees it as its root, read-only, and it goes with clean", async () => {
  const request = machine.request(["sh", "-c", "cat /proc/self/cgroup; mount | grep cgroup; sleep 100"])
  const task = await machine.launch(request)
  const layout = await machine.layout(request)
  expect(layout.all).toHaveLength(1)
  expect(readFileSync(`/proc/${task.pid}/cgroup`, "utf8")).toContain(`${request.id}\n`)
  await sleep(50)
  expect(machine.output(request)).toMatch(/^0::\/$/m)
  expect(machine.output(request)).toMatch(/on \/sys\/fs\/cgroup type cgroup2 \(ro,nosuid,nodev,noexec/)
  expect(await task.pids()).toContain(task.pid)
  expect((await task.read()).onlineCpus).toBeGreaterThan(0)
  await machine.runtime.clean(request)
  expect((await task.exited).code).toBe(137)
  expect(layout.all.filter((directory) => existsSync(directory))).toEqual([])
})

test("the device program lets nodes be made, usual devices be used and nothing else", async () => {
  const { output } = await machine.run([
    "sh",
    "-c",
    "mknod /kmsg c 1 11 && echo made; head -c 1 /kmsg; head -c 1 /dev/zero | wc -c; echo x > /dev/null && echo null",
  ])
  expect(output).toContain("made\n")
  expect(output).toContain("/kmsg: Operation not permitted")
  expect(output).toContain("1\n")
  expect(output).toContain("null\n")
  const device = { hostPath: "/dev/kmsg", containerPath: "/dev/kmsg", access: "r" }
  const given = await machine.run(["sh", "-c", "head -c 0 /dev/kmsg && echo open; echo x > /dev/kmsg"], {
    resources: { devices: [device] },
    capAdd: ["SYSLOG"],
  })
  expect(given.output).toContain("open\n")
  expect(given.output).toContain("Operation not permitted")
})

test("a privileged container has no device program", async () => {
  const { output } = await machine.run(["sh", "-c", "head -c 0 /dev/kmsg && echo open"], { privileged: true })
  expect(output).toBe("open\n")
})

test("a paused container stands still", async () => {
  const request = machine.request(["sh", "-c", "while true; do echo x; sleep 0.01; done"])
  const task = await machine.launch(request)
  await task.pause()
  const before = machine.output(request).length
  await sleep(100)
  expect(machine.output(request).length).toBeLessThanOrEqual(before + 2)
  await task.resume()
  await sleep(100)
  expect(machine.output(request).length).toBeGreaterThan(before + 2)
  await machine.runtime.clean(request)
  expect((await task.exited).code).toBe(137)
})
