// Real containers through the real launcher: lives, ends, limits and failures.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { errorKind, errorMessage } from "../../base/errors.ts"
import type { MonitoredProcess } from "../../kernel/kernel.ts"
import type { Task } from "../runtime.ts"
import { type Machine, openMachine, plainExec } from "../testing/machine.ts"

let machine: Machine
beforeAll(async () => {
  machine = await openMachine()
})
afterAll(() => machine.close())

const caught = async (promise: Promise<unknown>): Promise<string> => {
  try {
    await promise
  } catch (error) {
    return errorMessage(error)
  }
  throw new Error("nothing was thrown")
}

/** Everything that a process writes, without the frames' headers. */
async function collect(process: MonitoredProcess | Task): Promise<string> {
  const stream = await process.attach({ stdin: false, stdout: true, stderr: true })
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  let text = ""
  for (let at = 0; at + 8 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at + 4)
    text += bytes.subarray(at + 8, at + 8 + length).toString()
    at += 8 + length
  }
  return text
}

test("a container runs, its output is logged, its code is told", async () => {
  const { code, oom, output } = await machine.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
  expect({ code, oom }).toEqual({ code: 3, oom: false })
  expect(output.split("\n").toSorted()).toEqual(["", "err", "out"])
})

test("a container's end by a signal is 128 and the signal", async () => {
  const request = machine.request(["sleep", "100"], { init: true })
  const task = await machine.launch(request)
  await task.signal(15)
  const end = await task.exited
  expect(end.code).toBe(143)
  expect(await caught(task.signal(15))).toContain("has ended")
  await machine.runtime.clean(request)
})

test("cgroups, sockets and directories are gone after clean, which can be repeated", async () => {
  const request = machine.request(["sleep", "100"], { init: true })
  const task = await machine.launch(request)
  const layout = await machine.layout(request)
  expect(layout.all.every((directory) => existsSync(directory))).toBe(true)
  await task.signal(15)
  await task.exited
  for (let round = 0; round < 2; round++) {
    await machine.runtime.clean(request)
    expect(layout.all.filter((directory) => existsSync(directory))).toEqual([])
    expect(existsSync(request.runDirectory)).toBe(false)
  }
})

test.each([
  [["nope"], 'exec: "nope": executable file not found in $PATH'],
  [["/nope"], 'exec: "/nope": stat /nope: no such file or directory'],
  [["/etc/passwd"], 'exec: "/etc/passwd": permission denied'],
  [["/etc"], 'exec: "/etc": is a directory'],
  [["/crlf.sh"], "no such file or directory (the script has Windows (CR LF) line endings)"],
  [["/lost.sh"], 'no such file or directory (interpreter "/bin/bash" not found)'],
])("%p does not start, in words that clients know, and leaves nothing", async (argv, words) => {
  writeFileSync(join(machine.lower, "crlf.sh"), "#!/bin/sh\r\ntrue\r\n", { mode: 0o755 })
  writeFileSync(join(machine.lower, "lost.sh"), "#!/bin/bash\ntrue\n", { mode: 0o755 })
  const request = machine.request(argv)
  const message = await caught(machine.launch(request))
  expect(message).toStartWith("failed to create task for container: ")
  expect(message).toContain(words)
  expect(message).toEndWith(": unknown")
  const layout = await machine.layout(request)
  expect(layout.all.filter((directory) => existsSync(directory))).toEqual([])
  expect(existsSync(request.runDirectory)).toBe(false)
})

test("missing users, sources and wrong directories are named", async () => {
  expect(await caught(machine.launch(machine.request(["true"], { user: "nobody" })))).toBe(
    "unable to find user nobody: no matching entries in passwd file",
  )
  const gone = { type: "bind", source: "/no/such", target: "/x", flags: [], create: "any" } as const
  expect(await caught(machine.launch(machine.request(["true"], {}, { mounts: [gone] })))).toMatch(
    /error mounting ".*no\/such"/,
  )
  expect(
    await caught(machine.launch(machine.request(["true"], { workingDirectory: "/etc/passwd" }))),
  ).toMatch(/chdir to cwd \("\/etc\/passwd"\) set in config.json failed: .*not a directory/)
})

test("an exec has the container's namespaces, cgroups and rights", async () => {
  const request = machine.request(["sleep", "100"], { capDrop: ["CHOWN"], init: true })
  const task = await machine.launch(request)
  const exec = async (argv: string[], changes = {}) => {
    const process = await task.exec(request.config, plainExec(argv, changes))
    const output = await collect(process)
    return { output, code: (await process.exited).code }
  }
  expect(await exec(["sh", "-c", "id -u; hostname; exit 5"], { user: "bob" })).toEqual({
    output: "1000\nc0ffee\n",
    code: 5,
  })
  const status = (await exec(["cat", "/proc/self/status"])).output
  expect(status).toContain("Seccomp:\t2")
  expect(status).toContain("CapEff:\t00000000a80425fa")
  expect((await exec(["cat", "/proc/self/status"], { privileged: true })).output).not.toContain(
    "CapEff:\t00000000a80425fa",
  )
  expect((await exec(["cat", "/proc/self/cgroup"])).output).not.toContain("sloop")
  expect((await exec(["pwd"], { workingDirectory: "/tmp" })).output).toBe("/tmp\n")
  for (const [program, words] of [
    ["nope", 'exec: "nope": executable file not found in $PATH'],
    ["/etc/passwd", 'exec: "/etc/passwd": permission denied'],
  ] as const) {
    const message = await caught(task.exec(request.config, plainExec([program])))
    expect(message).toStartWith("OCI runtime exec failed: ")
    expect(message).toContain(words)
  }
  await task.signal(9)
  await task.exited
  await machine.runtime.clean(request)
})

test("a terminal has its size, and can be resized", async () => {
  const request = machine.request(
    ["sh", "-c", "stty size; read line; stty size; tty"],
    { tty: true, openStdin: true, consoleSize: [11, 22] },
    { expectedAttachments: 1 },
  )
  const task = await machine.launch(request)
  const stream = await task.attach({ stdin: true, stdout: true, stderr: true })
  let text = ""
  stream.on("data", (chunk: Buffer) => {
    text += chunk.toString()
  })
  await task.resize(33, 44)
  stream.write("go\n")
  expect((await task.exited).code).toBe(0)
  stream.destroy()
  expect(text).toMatch(/11 22|33 44/)
  expect(text).toContain("33 44")
  expect(text).toContain("/dev/pts/0")
  await machine.runtime.clean(request)
})

test("a paused container stands still", async () => {
  const request = machine.request(["sh", "-c", "while true; do echo x; sleep 0.01; done"])
  const task = await machine.launch(request)
  await sleep(50)
  await task.pause()
  const before = machine.output(request).length
  await sleep(100)
  expect(machine.output(request).length).toBeLessThanOrEqual(before + 2)
  await task.resume()
  await sleep(100)
  expect(machine.output(request).length).toBeGreaterThan(before + 2)
  await task.signal(9)
  await task.exited
  await machine.runtime.clean(request)
})

test("a monitor that is killed takes its container along, with a reason", async () => {
  const request = machine.request(["sleep", "100"])
  const task = await machine.launch(request)
  const monitor = Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${task.pid}/status`, "utf8"))?.[1])
  process.kill(monitor, "SIGKILL")
  expect(await task.exited).toMatchObject({ code: 137, reason: "the container's monitor was killed" })
  expect(await machine.runtime.rejoin({ ...request, pid: task.pid })).toMatchObject({
    code: 137,
    reason: "the container's monitor was killed",
  })
  const layout = await machine.layout(request)
  expect(layout.all.filter((directory) => existsSync(directory))).toEqual([])
  // What is left is at most a zombie that the host's init has not reaped yet.
  if (existsSync(`/proc/${task.pid}`))
    expect(readFileSync(`/proc/${task.pid}/status`, "utf8")).toMatch(/State:\s+[ZX]/)
})

test("a container outlives its launcher and is found again", async () => {
  const request = machine.request(["sh", "-c", "read line; echo got $line; exit 4"], { openStdin: true })
  const task = await machine.launch(request)
  process.kill(await machine.kernel.launcherPid(), "SIGKILL")
  task.release()
  const again = await machine.runtime.rejoin({ ...request, pid: task.pid })
  if (!("attach" in again)) throw new Error("the monitor was not found again")
  expect(again.pid).toBe(task.pid)
  // The next request starts a new launcher.
  expect((await machine.run(["true"])).code).toBe(0)
  const stream = await again.attach({ stdin: true, stdout: true, stderr: true })
  stream.resume()
  stream.write("it\n")
  expect((await again.exited).code).toBe(4)
  expect(machine.output(request)).toBe("got it\n")
  stream.destroy()
  expect(await machine.runtime.rejoin({ ...request, pid: task.pid })).toMatchObject({ code: 4, reason: "" })
  await machine.runtime.clean(request)
})

test("shared memory is shared with those who join the ipc", async () => {
  const owner = machine.request(["sh", "-c", "echo secret > /dev/shm/note; sleep 100"], {
    ipcMode: "shareable",
  })
  const task = await machine.launch(owner)
  await sleep(50)
  const joined = { ipc: `/proc/${task.pid}/ns/ipc` }
  const { output } = await machine.run(
    ["cat", "/dev/shm/note"],
    { ipcMode: `container:${owner.id}` },
    { joined },
  )
  expect(output).toBe("secret\n")
  await task.signal(9)
  await task.exited
  await machine.runtime.clean(owner)
  expect(existsSync(`/dev/shm/sloop-${owner.id}`)).toBe(false)
})

test("a joined pid namespace shows the other's processes", async () => {
  const owner = machine.request(["sleep", "12345"])
  const task = await machine.launch(owner)
  const joined = { pid: `/proc/${task.pid}/ns/pid` }
  const { output } = await machine.run(["ps", "-o", "args"], { pidMode: `container:${owner.id}` }, { joined })
  expect(output).toContain("sleep 12345")
  await task.signal(9)
  await task.exited
  await machine.runtime.clean(owner)
})

test("binds are read-only where asked, subpaths and tmpfs are mounted", async () => {
  const source = join(machine.lower, "..", "volume")
  mkdirSync(join(source, "inner"), { recursive: true })
  writeFileSync(join(source, "inner", "file"), "content\n")
  const { output, code } = await machine.run(
    [
      "sh",
      "-c",
      "cat /ro/inner/file /sub/file; touch /ro/x; touch /rw/inner/new; stat -f -c %T /t; touch /x; true",
    ],
    { readOnlyRoot: true },
    {
      mounts: [
        { type: "bind", source, target: "/ro", flags: ["ro", "rec"], create: "dir" },
        { type: "bind", source, target: "/rw", flags: ["rec"], create: "dir" },
        { type: "bind", source, target: "/sub", flags: ["rec"], create: "dir", subpath: "inner" },
        {
          type: "filesystem",
          filesystem: "tmpfs",
          source: "tmpfs",
          target: "/t",
          flags: ["nosuid"],
          options: ["size=1m"],
        },
      ],
    },
  )
  expect(output).toContain("content\ncontent\n")
  expect(output).toContain("touch: /ro/x: Read-only file system")
  expect(output).toContain("touch: /x: Read-only file system")
  expect(output).toContain("tmpfs")
  expect(code).toBe(0)
  expect(existsSync(join(source, "inner", "new"))).toBe(true)
})

test("what the host refuses is refused before anything is made", async () => {
  const invalid = async (config: Parameters<Machine["request"]>[1]): Promise<string> => {
    const promise = machine.runtime.validate(machine.request(["true"], config).config)
    const kind = await promise.then(
      () => "nothing",
      (error: unknown) => errorKind(error),
    )
    expect(kind).toBe("invalid")
    return caught(promise)
  }
  expect(await invalid({ resources: { memory: 1 << 20 } })).toBe("Minimum memory limit allowed is 6MB")
  expect(await invalid({ resources: { nanoCpus: 1e12 } })).toContain("range of CPUs is from 0.01 to")
  expect(await invalid({ resources: { cpusetCpus: "77" } })).toContain("Requested CPUs are not available")
  expect(await invalid({ resources: { cpusetCpus: "x" } })).toBe("Invalid value x for cpuset cpus")
  expect(await invalid({ sysctls: { "kernel.panic": "1" } })).toContain("sysctl 'kernel.panic' is not")
  expect(await invalid({ securityOptions: ["hat=red"] })).toBe('invalid --security-opt 2: "hat=red"')
  expect(await invalid({ capAdd: ["FLY"] })).toBe('invalid CapAdd: unknown capability: "CAP_FLY"')
  expect(
    await invalid({ resources: { devices: [{ hostPath: "/no", containerPath: "/x", access: "rwm" }] } }),
  ).toContain("error gathering device information")
  const { capabilities } = await machine.kernel.features()
  if ((capabilities & (1n << 24n)) !== 0n) return
  expect(
    await invalid({ resources: { ulimits: [{ name: "nofile", soft: 2 ** 30, hard: 2 ** 30 }] } }),
  ).toContain("lacks CAP_SYS_RESOURCE")
})
