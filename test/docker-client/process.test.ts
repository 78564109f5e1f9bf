// What docker run says about the process: environment, directory, user, names, labels, init, exit codes, messages.
import { afterAll, expect } from "bun:test"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { startEngine } from "../fixtures/engine.ts"
import { proof } from "./proof.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { docker, ok, work } = engine
const run = (...args: string[]) => ok("run", "--rm", ...args)

proof(["run", "run --rm", "run --name"], "runs, names and removes", async () => {
  expect(await docker("run", "--rm", "--name", "hello", "busybox", "echo", "hi there")).toEqual({
    code: 0,
    stdout: "hi there\n",
    stderr: "",
  })
  expect(await ok("ps", "-aq")).toBe("")
  await ok("run", "--name", "kept", "busybox", "true")
  expect(await ok("ps", "-a", "--format", "{{.Names}}")).toBe("kept")
  const second = await docker("run", "--name", "kept", "busybox", "true")
  expect(second.code).toBe(125)
  expect(second.stderr).toContain('Conflict. The container name "/kept" is already in use by container')
  await ok("rm", "kept")
})

proof(["run --detach"], "-d prints the id and runs on", async () => {
  const id = await ok("run", "-d", "busybox", "sleep", "100")
  expect(id).toMatch(/^[0-9a-f]{64}$/)
  expect(await ok("ps", "-q", "--no-trunc")).toBe(id)
  expect(await ok("inspect", "-f", "{{.State.Running}} {{.State.Status}}", id)).toBe("true running")
  await ok("rm", "-f", id)
})

proof(["run --env", "run --env-file"], "-e and --env-file reach the process", async () => {
  const file = join(work, "env")
  writeFileSync(file, "# a comment\nFROM_FILE=one two\nBOTH=file\nINHERITED\n")
  const { stdout } = await engine.dockerWith(
    { env: { INHERITED: "from the client", PASSED: "too" } },
    ...["run", "--rm", "--env-file", file, "-e", "A=1", "-e", "EMPTY=", "-e", "BOTH=flag", "-e", "PASSED"],
    ...["-e", "GONE", "busybox", "env"],
  )
  const lines = stdout.trimEnd().split("\n")
  expect(lines).toContain("A=1")
  expect(lines).toContain("EMPTY=")
  expect(lines).toContain("FROM_FILE=one two")
  expect(lines).toContain("BOTH=flag")
  expect(lines.filter((line) => line.startsWith("BOTH="))).toHaveLength(1)
  expect(lines).toContain("INHERITED=from the client")
  expect(lines).toContain("PASSED=too")
  expect(lines).toContain("HOME=/root")
  expect(lines).toContain("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
  expect(lines.some((line) => /^HOSTNAME=[0-9a-f]{12}$/.test(line))).toBe(true)
  expect(lines.some((line) => line.startsWith("GONE"))).toBe(false)
})

proof(["run --workdir"], "-w sets the directory and makes it", async () => {
  expect(await run("-w", "/etc", "busybox", "pwd")).toBe("/etc")
  expect(await run("-w", "/not/there/yet", "busybox", "pwd")).toBe("/not/there/yet")
  const relative = await docker("run", "--rm", "-w", "etc", "busybox", "pwd")
  expect(relative.code).toBe(125)
  expect(relative.stderr).toContain("the working directory 'etc' is invalid, it needs to be an absolute path")
})

proof(["run --user", "run --group-add"], "-u takes names and ids; groups are exact", async () => {
  const ids = "id -u; id -g; id -G"
  expect(await run("busybox", "sh", "-c", ids)).toBe("0\n0\n0")
  expect(await run("-u", "www-data", "busybox", "sh", "-c", ids)).toBe("33\n33\n33")
  expect(await run("-u", "1234", "busybox", "sh", "-c", ids)).toBe("1234\n0\n0")
  expect(await run("-u", "1234:4321", "busybox", "sh", "-c", ids)).toBe("1234\n4321\n4321")
  expect(await run("-u", "nobody", "busybox", "sh", "-c", ids)).toBe("65534\n65534\n65534 29")
  expect(await run("-u", "daemon:www-data", "busybox", "sh", "-c", ids)).toBe("1\n33\n33")
  expect(
    await run("-u", "1234:4321", "--group-add", "audio", "--group-add", "777", "busybox", "sh", "-c", ids),
  ).toBe("1234\n4321\n4321 29 777")
  const unknown = await docker("run", "--rm", "-u", "nosuch", "busybox", "id")
  expect(unknown.code).toBe(125)
  expect(unknown.stderr).toContain(
    "Error response from daemon: unable to find user nosuch: no matching entries in passwd file\n",
  )
  const group = await docker("run", "--rm", "--group-add", "nosuch", "busybox", "id")
  expect(group.code).toBe(125)
  expect(group.stderr).toContain(
    "Error response from daemon: unable to find group nosuch: no matching entries in group file\n",
  )
  for (const wild of ["4294967296", "-1", "2147483648"]) {
    const refused = await docker("run", "--rm", `--user=${wild}`, "busybox", "id")
    expect(refused.code).not.toBe(0)
    expect(refused.stderr).not.toBe("")
  }
  expect(await run("-u", "33", "busybox", "sh", "-c", "echo $HOME")).toBe("/var/www")
})

proof(["run --entrypoint"], "--entrypoint replaces, and empties", async () => {
  expect(await run("--entrypoint", "echo", "busybox", "a", "b")).toBe("a b")
  expect(await run("--entrypoint", "", "busybox", "echo", "c")).toBe("c")
  const nothing = await docker("run", "--rm", "--entrypoint", "", "busybox")
  expect(nothing.code).toBe(125)
  expect(nothing.stderr).toContain("no command specified")
})

proof(["run --hostname", "run --domainname"], "names of the host", async () => {
  expect(await run("--hostname", "box", "busybox", "sh", "-c", "hostname; cat /etc/hostname")).toBe(
    "box\nbox",
  )
  const hosts = await run("--hostname", "box", "--domainname", "example.org", "busybox", "cat", "/etc/hosts")
  expect(hosts).toMatch(/^[0-9.]+\tbox\.example\.org box$/m)
  expect(await run("--domainname", "example.org", "busybox", "cat", "/proc/sys/kernel/domainname")).toBe(
    "example.org",
  )
  const id = await ok("run", "-d", "busybox", "sleep", "50")
  expect(await ok("exec", id, "hostname")).toBe(id.slice(0, 12))
  await ok("rm", "-f", id)
})

proof(["run --init"], "--init reaps and forwards signals", async () => {
  expect(await run("--init", "busybox", "sh", "-c", "echo $$")).not.toBe("1")
  // PID 1 tells the container nothing of the host.
  expect(await run("--init", "busybox", "ps", "-o", "pid,args")).toMatch(/^\s+1 sloop-init\n/m)
  expect(await run("--init", "busybox", "cat", "/proc/1/cmdline")).toBe("sloop-init\0")
  const id = await ok(
    "run",
    "-d",
    "--init",
    "busybox",
    "sh",
    "-c",
    "trap 'exit 7' USR1; echo up; while :; do sleep 0.05; done",
  )
  await engine.says(id, "up")
  await ok("kill", "-s", "USR1", id)
  expect(await ok("wait", id)).toBe("7")
  await ok("rm", id)
  // An orphan that ends is reaped by PID 1: no zombie stays.
  const zombies =
    "sh -c 'sleep 0.1 & exit 0'; sleep 0.4; grep -l '^State:.Z' /proc/[0-9]*/status || echo none"
  expect(await run("--init", "busybox", "sh", "-c", zombies)).toBe("none")
})

proof(["run --cidfile"], "--cidfile", async () => {
  const file = join(work, "cid")
  const id = await ok("run", "-d", "--cidfile", file, "busybox", "sleep", "50")
  expect(readFileSync(file, "utf8")).toBe(id)
  await ok("rm", "-f", id)
})

proof(["run --label", "run --label-file", "run --annotation"], "labels and annotations", async () => {
  const file = join(work, "labels")
  writeFileSync(file, "from.file=yes\n")
  const flags = ["-l", "a=1", "--label", "empty", "--label-file", file, "--annotation", "note=this"]
  const id = await ok("create", ...flags, "busybox", "true")
  expect(JSON.parse(await ok("inspect", "-f", "{{json .Config.Labels}}", id))).toEqual({
    a: "1",
    empty: "",
    "from.file": "yes",
  })
  expect(JSON.parse(await ok("inspect", "-f", "{{json .HostConfig.Annotations}}", id))).toEqual({
    note: "this",
  })
  expect(await ok("ps", "-aq", "--no-trunc", "--filter", "label=a=1")).toBe(id)
  expect(await ok("ps", "-aq", "--filter", "label=a=2")).toBe("")
  await ok("rm", id)
})

proof(["run --oom-score-adj"], "--oom-score-adj", async () => {
  expect(await run("--oom-score-adj", "500", "busybox", "cat", "/proc/self/oom_score_adj")).toBe("500")
  const wild = await docker("run", "--rm", "--oom-score-adj", "1001", "busybox", "true")
  expect(wild.code).toBe(125)
  expect(wild.stderr).toContain("Invalid value 1001, range for oom score adj is [-1000, 1000]")
})

proof(["run"], "exit codes are the process's", async () => {
  for (const code of [0, 1, 3, 255]) {
    expect((await docker("run", "--rm", "busybox", "sh", "-c", `exit ${code}`)).code).toBe(code)
  }
  expect((await docker("run", "--rm", "busybox", "sh", "-c", "kill -9 $$; sleep 1; exit 4")).code).toBe(4)
  expect((await docker("run", "--rm", "busybox", "sh", "-c", "sh -c 'kill -SEGV $$'; exit $?")).code).toBe(
    139,
  )
  for (const [signal, code] of [
    ["KILL", "137"],
    ["TERM", "143"],
  ] as const) {
    const id = await ok("run", "-d", "--init", "busybox", "sleep", "100")
    await ok("kill", "-s", signal, id)
    expect(await ok("wait", id)).toBe(code)
    await ok("rm", id)
  }
})

proof(["run"], "what cannot run says why, once, with 125, 126 or 127", async () => {
  const absent = await docker("run", "--rm", "busybox", "nope")
  expect(absent.code).toBe(127)
  expect(absent.stdout).toBe("")
  expect(absent.stderr.match(/nope/g)).toHaveLength(1)
  expect(absent.stderr).toContain('exec: "nope": executable file not found in $PATH')
  const path = await docker("run", "--rm", "busybox", "/no/such")
  expect(path.code).toBe(127)
  expect(path.stderr).toContain('exec: "/no/such": stat /no/such: no such file or directory')
  const directory = await docker("run", "--rm", "busybox", "/etc")
  expect(directory.code).toBe(126)
  expect(directory.stderr).toMatch(/exec: "\/etc": (is a directory|permission denied)/)
  const plain = await docker("run", "--rm", "busybox", "/etc/passwd")
  expect(plain.code).toBe(126)
  expect(plain.stderr).toContain('exec: "/etc/passwd": permission denied')
  const image = await docker("run", "--rm", "--pull", "never", "no-such-image", "true")
  expect(image.code).toBe(125)
  expect(image.stderr).toContain("No such image: no-such-image:latest")
  const flag = await docker("run", "--nonsense", "busybox")
  expect(flag.code).toBe(125)
  expect(await ok("ps", "-aq")).toBe("")
  const kept = await docker("run", "--name", "failed", "busybox", "nope")
  expect(kept.code).toBe(127)
  expect(await ok("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "failed")).toBe("created 127")
  const again = await docker("start", "failed")
  expect(again.code).toBe(1)
  expect(again.stderr).toContain("executable file not found in $PATH")
  const attached = await docker("start", "-a", "failed")
  expect(attached.code).toBe(1)
  await ok("rm", "failed")
})

proof(["run"], 'the true cause of "no such file" is in the message', async () => {
  const script = (name: string, text: string) => {
    writeFileSync(join(work, name), text, { mode: 0o755 })
    return docker("run", "--rm", "-v", `${work}:/w`, "busybox", `/w/${name}`)
  }
  const interpreter = await script("interpreter", "#!/no/python\nprint(1)\n")
  expect(interpreter.code).toBe(127)
  expect(interpreter.stderr).toContain('interpreter "/no/python" not found')
  const crlf = await script("crlf", "#!/bin/sh\r\necho hi\r\n")
  expect(crlf.code).toBe(127)
  expect(crlf.stderr).toContain("the script has Windows (CR LF) line endings")
  const loader = await docker("run", "--rm", "-v", "/bin/ls:/w/ls:ro", "busybox", "/w/ls")
  expect(loader.code).toBe(127)
  expect(loader.stderr).toMatch(/the dynamic loader \/lib.*\/ld-linux.* is missing/)
  const format = await script("format", "no program at all\n")
  // The client knows 126 only from "permission denied" and "is a directory".
  expect(format.code).toBe(125)
  expect(format.stderr).toContain("exec format error")
})

proof(["run --sig-proxy", "run --stop-signal"], "signals to the client reach the process", async () => {
  const client = engine.spawnDocker(
    ...[
      "run",
      "--rm",
      "--name",
      "proxy",
      "busybox",
      "sh",
      "-c",
      "trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done",
    ],
  )
  await new Promise((resolve) => client.stdout?.once("data", resolve))
  client.kill("SIGTERM")
  const code = await new Promise((resolve) => client.once("exit", resolve))
  expect(code).toBe(9)
  const id = await ok(
    "run",
    "-d",
    "--stop-signal",
    "USR2",
    "busybox",
    "sh",
    "-c",
    "trap 'exit 5' USR2; echo up; while :; do sleep 0.05; done",
  )
  await engine.says(id, "up")
  await ok("stop", id)
  expect(await ok("inspect", "-f", "{{.State.ExitCode}}", id)).toBe("5")
  await ok("rm", id)
  expect(existsSync(work)).toBe(true)
})
