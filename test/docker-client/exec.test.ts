// docker exec, top, stats and the rest of what looks into a running container.
import { afterAll, expect } from "bun:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { eventually, startEngine } from "../fixtures/engine.ts"
import { proof } from "./proof.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { docker, dockerWith, ok, work } = engine
const box = await ok(
  ...[
    "run",
    "-d",
    "--name",
    "box",
    "-e",
    "BASE=1",
    "-w",
    "/etc",
    "--memory",
    "64m",
    "busybox",
    "sleep",
    "1000",
  ],
)

proof(["exec"], "exec runs inside: namespaces, cgroup, streams, exit codes", async () => {
  expect(await docker("exec", "box", "sh", "-c", "echo out; echo err >&2; exit 42")).toEqual({
    code: 42,
    stdout: "out\n",
    stderr: "err\n",
  })
  for (const kind of ["pid", "net", "mnt", "ipc", "uts", "cgroup"]) {
    const own = await ok("exec", "box", "readlink", `/proc/self/ns/${kind}`)
    expect(own).toBe(await ok("exec", "box", "readlink", `/proc/1/ns/${kind}`))
  }
  expect(await ok("exec", "box", "sh", "-c", "cat /proc/self/cgroup")).toBe(
    await ok("exec", "box", "sh", "-c", "cat /proc/1/cgroup"),
  )
  const own = "grep -E '^(Cap|Seccomp:|NoNewPrivs)' /proc/"
  expect(await ok("exec", "box", "sh", "-c", `${own}self/status`)).toBe(
    await ok("exec", "box", "sh", "-c", `${own}1/status`),
  )
})

proof(["exec --interactive"], "exec -i: stdin and its end", async () => {
  expect((await dockerWith({ stdin: "a\nb\n" }, "exec", "-i", "box", "wc", "-l")).stdout).toBe("2\n")
  expect((await dockerWith({ stdin: "lost" }, "exec", "box", "cat")).stdout).toBe("")
})

proof(["exec --tty"], "exec -t", async () => {
  const result = await docker("exec", "-t", "box", "sh", "-c", "test -t 1 && tty")
  expect(result.stdout).toMatch(/^\/dev\/pts\/\d\r\n$/)
})

proof(["exec --detach"], "exec -d", async () => {
  expect(await ok("exec", "-d", "box", "sh", "-c", "echo done > /tmp/detached")).toBe("")
  await eventually(
    "it ran",
    async () => (await docker("exec", "box", "cat", "/tmp/detached")).stdout === "done\n",
  )
})

proof(["exec --user", "exec --workdir", "exec --env", "exec --env-file"], "exec -u, -w, -e", async () => {
  expect(
    await ok("exec", "-u", "www-data", "box", "sh", "-c", "id -u; id -g; grep CapEff /proc/self/status"),
  ).toBe("33\n33\nCapEff:\t0000000000000000")
  expect(await ok("exec", "box", "pwd")).toBe("/etc")
  expect(await ok("exec", "-w", "/tmp", "box", "pwd")).toBe("/tmp")
  const file = join(work, "env")
  writeFileSync(file, "FROM=file\n")
  expect(
    await ok("exec", "-e", "MORE=2", "--env-file", file, "box", "sh", "-c", "echo $BASE $MORE $FROM"),
  ).toBe("1 2 file")
  // As Docker does, the reason comes on the stream that the client already reads.
  const unknown = await docker("exec", "-u", "nosuch", "box", "id")
  expect(unknown.code).toBe(126)
  expect(unknown.stdout).toStartWith("unable to find user nosuch: no matching entries in passwd file")
})

proof(["exec --privileged"], "exec --privileged", async () => {
  const plain = await ok("exec", "box", "grep", "CapEff", "/proc/self/status")
  const privileged = await ok("exec", "--privileged", "box", "grep", "CapEff", "/proc/self/status")
  expect(plain).toContain("a80425fb")
  expect(BigInt(`0x${privileged.split("\t")[1]}`) & (1n << 21n)).not.toBe(0n)
})

proof(["exec"], "exec that cannot run", async () => {
  const absent = await docker("exec", "box", "nope")
  expect(absent.code).toBe(127)
  expect(`${absent.stdout}${absent.stderr}`).toContain('exec: "nope": executable file not found in $PATH')
  const plain = await docker("exec", "box", "/etc/passwd")
  expect(plain.code).toBe(126)
  expect(`${plain.stdout}${plain.stderr}`).toContain("permission denied")
  await ok("create", "--name", "still", "busybox", "true")
  const stopped = await docker("exec", "still", "true")
  expect(stopped.code).toBe(1)
  expect(stopped.stderr).toMatch(/[Cc]ontainer [0-9a-f]{64} is not running/)
  await ok("rm", "still")
  expect((await docker("exec", "nobody", "true")).stderr).toContain("No such container: nobody")
})

proof(["exec"], "many at once", async () => {
  const results = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      docker("exec", "box", "sh", "-c", `echo ${index}; exit ${index}`),
    ),
  )
  expect(results.map(({ code, stdout }) => [code, stdout])).toEqual(
    results.map((_, index) => [index, `${index}\n`]),
  )
})

proof(["top"], "top", async () => {
  const plain = (await ok("top", "box")).split("\n")
  expect(plain[0]).toMatch(/^UID\s+PID\s+PPID\s+C\s+STIME\s+TTY\s+TIME\s+CMD/)
  expect(plain[1]).toMatch(/sleep 1000$/)
  const chosen = (await ok("top", "box", "-o", "pid,comm")).split("\n")
  expect(chosen[0]?.split(/\s+/).filter(Boolean)).toEqual(["PID", "COMMAND"])
  expect(chosen[1]).toContain("sleep")
})

proof(
  ["stats", "stats --no-stream", "stats --all", "stats --format", "stats --no-trunc"],
  "stats",
  async () => {
    const line = await ok(
      "stats",
      "--no-stream",
      "--format",
      "{{.Name}}|{{.MemUsage}}|{{.PIDs}}|{{.CPUPerc}}",
      "box",
    )
    expect(line).toMatch(/^box\|\d.*B \/ 64MiB\|1\|\d+\.\d+%$/)
    expect(await ok("stats", "--no-stream", "--no-trunc", "--format", "{{.ID}}")).toBe(box)
    await ok("create", "--name", "idle", "busybox")
    expect((await ok("stats", "--no-stream", "-a", "--format", "{{.Name}}")).split("\n").sort()).toEqual([
      "box",
      "idle",
    ])
    await ok("rm", "idle")
  },
)
