// Bytes through sloop: whole and in order, either way, whoever is slow or gone.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { join } from "node:path"
import { execute, startEngine } from "../fixtures/engine.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
beforeAll(async () => void (await engine.ok("run", "-d", "--name", "cc", "busybox", "sleep", "1000")), 30_000)

const project = join(import.meta.dirname, "..", "..")
const binary = process.env.SLOOP_BIN
const program = binary ? [binary] : [join(project, "node_modules/.bin/bun"), join(project, "src/main.ts")]
const words = program.map((word) => `'${word}'`).join(" ")
const shell = (line: string) =>
  execute(["bash", "-c", `set -o pipefail; sloop() { ${words} "$@"; }; ${line}`], {
    env: engine.env,
    timeout: 60_000,
  })

test("200 MB come out whole, to a pipe and to a file", async () => {
  const sum = createHash("md5")
  const zeros = Buffer.alloc(1 << 20)
  for (let index = 0; index < 200; index++) sum.update(zeros)
  const expected = sum.update("end\n").digest("hex")
  const command = "sloop run --rm busybox sh -c 'dd if=/dev/zero bs=1M count=200 2>/dev/null; echo end'"
  expect(await shell(`${command} | md5sum`)).toEqual({ code: 0, stdout: `${expected}  -\n`, stderr: "" })
  const file = join(engine.work, "zeros")
  expect((await shell(`${command} > ${file} && md5sum < ${file}`)).stdout).toBe(`${expected}  -\n`)
}, 120_000)

test("a reader that starts late misses nothing", async () => {
  const { stdout } = await shell(
    "sloop run --rm busybox sh -c 'seq 1 1000000; echo end' | (sleep 1; md5sum); (seq 1 1000000; echo end) | md5sum",
  )
  const [ours, theirs] = stdout.trim().split("\n")
  expect(ours).toBe(theirs ?? "")
}, 60_000)

test("stdin goes in whole and its end is told", async () => {
  const random = join(engine.work, "random")
  const { stdout, stderr } = await shell(
    `head -c 30000000 /dev/urandom > ${random}
     for c in 'run -i --rm busybox' 'exec -i cc'; do sloop $c md5sum < ${random}; cat ${random} | sloop $c cat | md5sum; done
     md5sum < ${random}`,
  )
  expect(stderr).toBe("")
  expect(new Set(stdout.trim().split("\n")).size).toBe(1)
  expect(stdout.trim().split("\n")).toHaveLength(5)
}, 60_000)

test("streams stay apart, exit codes come through", async () => {
  const ran = await engine.sloop("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7")
  expect(ran).toEqual({ code: 7, stdout: "out\n", stderr: "err\n" })
  const executed = await engine.sloop("exec", "cc", "sh", "-c", "echo out; echo err >&2; exit 8")
  expect(executed).toEqual({ code: 8, stdout: "out\n", stderr: "err\n" })
})

test("the shortest of runs, many at once, lose no output and no exit code", async () => {
  const script = "echo out; echo err >&2; exit 9"
  const runs = Array.from({ length: 12 }, () => engine.sloop("run", "--rm", "busybox", "sh", "-c", script))
  for (const ran of await Promise.all(runs))
    expect(ran).toEqual({ code: 9, stdout: "out\n", stderr: "err\n" })
}, 60_000)

test("a run that cannot be created or started has docker's exit code and leaves no container", async () => {
  const before = await engine.ok("ps", "-aq")
  const cases: [number, string[]][] = [
    [127, ["busybox", "nosuch"]],
    [126, ["busybox", "/etc"]],
    [125, ["-m", "1k", "busybox", "true"]],
    [125, ["--pull", "never", "nosuchimage", "true"]],
  ]
  for (const [code, words] of cases) {
    const ran = await engine.sloop("run", "--rm", ...words)
    expect([words, ran.code, ran.stdout]).toEqual([words, code, ""])
    expect(ran.stderr).toStartWith("sloop: ")
  }
  expect(await engine.ok("ps", "-aq")).toEqual(before)
})

test("a reader that leaves early is no error", async () => {
  await engine.ok("run", "--name", "ll", "busybox", "seq", "1", "200000")
  for (const verb of ["logs ll", "run --rm busybox seq 1 200000", "exec cc seq 1 200000"]) {
    const { stdout, stderr } = await shell(`sloop ${verb} | head -1`)
    expect([verb, stdout, stderr]).toEqual([verb, "1\n", ""])
  }
})

test("run answers as soon as the container is gone, not later", async () => {
  const times: number[] = []
  for (let index = 0; index < 5; index++) {
    const started = performance.now()
    await engine.sloop("run", "--rm", "busybox", "true")
    times.push(performance.now() - started)
  }
  // Loose, as the machine is shared and sloop runs from its sources: it used to wait 200 ms for nothing.
  expect(Math.min(...times)).toBeLessThan(200)
})

test("signals are forwarded when there is no terminal at all", async () => {
  const child = spawn(
    program[0] ?? "",
    [
      ...program.slice(1),
      "run",
      "--rm",
      "busybox",
      "sh",
      "-c",
      "trap 'exit 6' TERM; echo ready; while :; do sleep 0.05; done",
    ],
    { env: { ...process.env, ...engine.env }, stdio: ["ignore", "pipe", "ignore"] },
  )
  await new Promise((resolve) => child.stdout?.once("data", resolve))
  child.kill("SIGTERM")
  expect(await new Promise((resolve) => child.once("exit", resolve))).toBe(6)
})
