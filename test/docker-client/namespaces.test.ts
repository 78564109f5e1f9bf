// Which namespaces docker run makes, shares with the host, or joins of other containers.
import { afterAll, expect } from "bun:test"
import { readFileSync, readlinkSync } from "node:fs"
import { hostname } from "node:os"
import { startEngine } from "../fixtures/engine.ts"
import { proof } from "./proof.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { docker, ok } = engine
const run = (...args: string[]) => ok("run", "--rm", ...args)
const kinds = ["pid", "ipc", "uts", "net", "mnt", "cgroup"] as const
const namespace = (kind: string) => readlinkSync(`/proc/self/ns/${kind}`)
const inside = async (kind: string, ...flags: string[]) =>
  run(...flags, "busybox", "readlink", `/proc/self/ns/${kind}`)

proof(["run"], "every namespace is new", async () => {
  for (const kind of kinds) expect(await inside(kind)).not.toBe(namespace(kind))
  expect(await run("busybox", "sh", "-c", "echo $$; ls -d /proc/[0-9]* | wc -l")).toMatch(/^1\n[23]$/)
})

proof(["run --pid"], "--pid host and container:ID", async () => {
  expect(await inside("pid", "--pid", "host")).toBe(namespace("pid"))
  const id = await ok("run", "-d", "--name", "pids", "busybox", "sleep", "1234")
  expect(await run("--pid", "container:pids", "busybox", "ps")).toContain("sleep 1234")
  expect(await run("busybox", "ps")).not.toContain("sleep 1234")
  // A container that joined ends, its owner does not.
  expect(await ok("inspect", "-f", "{{.State.Running}}", id)).toBe("true")
  const joined = await ok(
    "run",
    "-d",
    "--pid",
    "container:pids",
    "busybox",
    "sh",
    "-c",
    "sleep 4321 & sleep 4322",
  )
  await ok("rm", "-f", joined)
  expect(await ok("exec", id, "ps")).not.toMatch(/sleep 432/)
  await ok("rm", "-f", "pids")
  const absent = await docker("run", "--rm", "--pid", "container:nobody", "busybox", "true")
  expect(absent.code).toBe(125)
  expect(absent.stderr).toContain("No such container: nobody")
  expect((await docker("run", "--rm", "--pid", "nonsense", "busybox", "true")).code).toBe(125)
})

proof(["run --ipc"], "--ipc host, private, shareable, none and container:ID", async () => {
  expect(await inside("ipc", "--ipc", "host")).toBe(namespace("ipc"))
  await ok("run", "-d", "--name", "ipc", "--ipc", "shareable", "busybox", "sleep", "60")
  const of = await ok("exec", "ipc", "readlink", "/proc/self/ns/ipc")
  await ok("exec", "ipc", "touch", "/dev/shm/token")
  expect(await inside("ipc", "--ipc", "container:ipc")).toBe(of)
  expect(await run("--ipc", "container:ipc", "busybox", "ls", "/dev/shm")).toBe("token")
  await ok("rm", "-f", "ipc")
  await ok("run", "-d", "--name", "ipc", "busybox", "sleep", "60")
  const closed = await docker("run", "--rm", "--ipc", "container:ipc", "busybox", "true")
  expect(closed.code).toBe(125)
  expect(closed.stderr).toContain("non-shareable IPC")
  await ok("rm", "-f", "ipc")
  expect(await run("--ipc", "none", "busybox", "sh", "-c", "grep -c ' /dev/shm ' /proc/mounts || true")).toBe(
    "0",
  )
})

proof(["run --uts"], "--uts host", async () => {
  expect(await inside("uts", "--uts", "host")).toBe(namespace("uts"))
  expect(await run("--uts", "host", "busybox", "hostname")).toBe(hostname())
  const both = await docker("run", "--rm", "--uts", "host", "--hostname", "x", "busybox", "true")
  expect(both.code).toBe(125)
  expect(both.stderr).toContain("conflicting options: hostname and the UTS mode")
})

proof(["run --network"], "--network none, host and container:ID", async () => {
  expect(await run("--network", "none", "busybox", "ls", "/sys/class/net")).toBe("lo")
  expect(
    await run("--network", "none", "busybox", "sh", "-c", "ping -c 1 -W 1 127.0.0.1 >/dev/null && echo up"),
  ).toBe("up")
  await ok("run", "-d", "--name", "closed", "--network", "none", "-p", "80", "busybox", "sleep", "60")
  expect(await ok("ps", "--format", "{{.Ports}}")).toBe("")
  await ok("rm", "-f", "closed")
  expect(await inside("net", "--network", "host")).toBe(namespace("net"))
  expect(await run("--network", "host", "busybox", "hostname")).toBe(hostname())
  expect(
    (await docker("run", "--rm", "--network", "host", "-p", "8080:80", "busybox", "true")).stderr,
  ).toContain("Published ports are discarded when using host network mode")
  expect(await run("--network", "host", "busybox", "cat", "/etc/resolv.conf")).toBe(
    readFileSync("/etc/resolv.conf", "utf8").replace(/\n$/, ""),
  )
  await ok(
    "run",
    "-d",
    "--name",
    "net",
    "--hostname",
    "owner",
    "busybox",
    "httpd",
    "-f",
    "-p",
    "7000",
    "-h",
    "/etc",
  )
  const joined = ["--network", "container:net"]
  expect(await inside("net", ...joined)).toBe(await ok("exec", "net", "readlink", "/proc/self/ns/net"))
  expect(await run(...joined, "busybox", "wget", "-qO-", "http://127.0.0.1:7000/hostname")).toBe("owner")
  expect(await run(...joined, "busybox", "sh", "-c", "hostname; cat /etc/hosts")).toMatch(
    /^owner\n(.*\n)*.*owner/,
  )
  const ports = await docker("run", "--rm", ...joined, "-p", "80:80", "busybox", "true")
  expect(ports.code).toBe(125)
  expect(ports.stderr).toContain("conflicting options: port publishing and the container type network mode")
  await ok("stop", "-t", "0", "net")
  const dead = await docker("run", "--rm", ...joined, "busybox", "true")
  expect(dead.code).toBe(125)
  expect(dead.stderr).toContain("cannot join network of a non running container")
  await ok("rm", "net")
  const unknown = await docker("run", "--rm", "--network", "nowhere", "busybox", "true")
  expect(unknown.code).toBe(125)
  expect(unknown.stderr).toContain("network nowhere not found")
  expect(await ok("ps", "-aq")).toBe("")
})

proof(["run --userns"], "--userns host", async () => {
  expect(await inside("user", "--userns", "host")).toBe(namespace("user"))
})
