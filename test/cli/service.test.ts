// The daemon as a service, and the engine over a pair of pipes, as DOCKER_HOST=ssh:// has it.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { spawn, spawnSync } from "node:child_process"
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { unitFiles } from "../../src/cli/service-units.ts"
import { execute, program, startEngine, type TestEngine } from "../fixtures/engine.ts"

let engine: TestEngine
beforeAll(async () => {
  engine = await startEngine()
}, 60_000)
afterAll(() => engine.close(), 60_000)

test("dial-stdio passes requests and streams on, and a half-close with them", async () => {
  const request = "GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n"
  const { code, stdout } = await engine.sloopWith({ stdin: request }, "system", "dial-stdio")
  expect(code).toBe(0)
  expect(stdout).toStartWith("HTTP/1.1 200 OK\r\n")
  expect(stdout).toEndWith("\r\n\r\nOK")
  const ask = "GET /nothing/here HTTP/1.1\r\nHost: d\r\n\r\n"
  const child = spawn(program()[0] ?? "", [...program().slice(1), "system", "dial-stdio"], {
    env: { ...process.env, ...engine.env },
  })
  let answers = ""
  child.stdout.on("data", (chunk: Buffer) => {
    answers += chunk
  })
  child.stdin.write(ask)
  while (!answers.includes("page not found")) await Bun.sleep(5)
  child.stdin.end()
  expect(await new Promise((resolve) => child.once("exit", resolve))).toBe(0)
}, 20_000)

test("the docker client reaches the engine over ssh", async () => {
  // A stand-in for ssh: it takes ssh's words and runs the rest here, where `docker` is this program.
  const bin = join(engine.root, "bin")
  mkdirSync(bin)
  const script = (name: string, text: string) => {
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  const quoted = program().map((word) => `'${word}'`)
  script("remote", `DOCKER_HOST=unix://${engine.socket} exec ${quoted.join(" ")} "$@"`)
  script("ssh", 'while [ "$1" != docker ]; do shift; [ $# -gt 0 ] || exit 255; done; shift; exec remote "$@"')
  const env = { DOCKER_HOST: "ssh://somebody@somewhere", PATH: `${bin}:${process.env.PATH}` }
  const ran = await engine.dockerWith({ env, stdin: "over ssh\n" }, "run", "-i", "--rm", "busybox", "cat")
  expect(ran).toEqual({ code: 0, stdout: "over ssh\n", stderr: "" })
}, 30_000)

test("the units are sound, quote what they must, and are shown without being installed", async () => {
  const odd = unitFiles({
    program: ["/opt/my sloop/50%"],
    group: "docker",
    dockerSocket: true,
    flags: ['a"$b'],
  })
  expect(odd["sloop.service"]).toContain('ExecStart="/opt/my sloop/50%%" daemon --host fd:// "a\\"$$b"')
  expect(odd["sloop.socket"]).toContain("ListenStream=/run/docker.sock\n")
  const { code, stdout } = await engine.sloop("system", "service", "--print", "install", "--name", "x")
  expect(code).toBe(0)
  expect(stdout).toContain("daemon --host fd:// --name x\n")
  expect(stdout).not.toContain("/run/docker.sock")
  if (!existsSync("/usr/bin/systemd-analyze")) {
    console.warn("skipped: no systemd-analyze here (Debian package systemd)")
    return
  }
  const units = unitFiles({ program: ["/bin/true"], group: "root", dockerSocket: true, flags: [] })
  const at = join(engine.work, "units")
  mkdirSync(at)
  for (const [name, text] of Object.entries(units)) writeFileSync(join(at, name), text)
  const checked = spawnSync(
    "systemd-analyze",
    ["verify", ...Object.keys(units).map((name) => join(at, name))],
    {
      encoding: "utf8",
    },
  )
  expect(checked.stderr.split("\n").filter((line) => line.includes("sloop"))).toEqual([])
}, 20_000)

test("where systemd does not run, one sentence says so", async () => {
  if (existsSync("/run/systemd/system")) return
  const refused = await execute([...program(), "system", "service", "install"])
  expect(refused.code).toBe(1)
  expect(refused.stderr).toContain("systemd does not run here")
  expect((await execute([...program(), "system", "service", "start"])).stderr).toContain(
    'say "install" or "uninstall"',
  )
}, 20_000)
