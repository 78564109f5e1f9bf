// Completion as shells really do it: each script is sourced and asked, over a running engine.
import { afterAll, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { chmodSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { execute, program, startEngine } from "../fixtures/engine.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
await engine.ok("create", "--name", "resting", "busybox")
await engine.ok("run", "-d", "--name", "running", "busybox", "sleep", "1000")
await engine.ok("network", "create", "remote")

const bin = join(engine.work, "bin")
mkdirSync(bin)
writeFileSync(
  join(bin, "sloop"),
  `#!/bin/sh\nexec ${program()
    .map((word) => `'${word}'`)
    .join(" ")} "$@"\n`,
)
chmodSync(join(bin, "sloop"), 0o755)
const env = { ...engine.env, PATH: `${bin}:${process.env.PATH}`, TERM: "dumb" }

const lines = [
  ["sloop start re", ["resting"]],
  ["sloop stop ", ["running"]],
  ["sloop rm r", ["resting", "running"]],
  ["sloop network inspect remo", ["remote"]],
  ["sloop run --network=remo", ["--network=remote"]],
  ["sloop unpa", ["unpause"]],
  ["sloop run --sig-p", ["--sig-proxy"]],
  ["sloop run busybox:la", ["busybox:latest"]],
] as const

const has = (shell: string): boolean => {
  if (spawnSync(shell, ["--version"]).status === 0) return true
  console.warn(`skipped: ${shell} is not installed here`)
  return false
}

test("bash", async () => {
  for (const [line, expected] of lines) {
    // bash puts only what follows the last = or : into the line.
    const rest = expected.map((word) => word.replace(/^.*[=:]/, ""))
    const script = `eval "$(sloop completion bash)"; COMP_LINE=${JSON.stringify(line)}; COMP_POINT=\${#COMP_LINE}; _sloop; printf '%s\\n' "\${COMPREPLY[@]}"`
    const { stdout, stderr } = await execute(["bash", "--norc", "-c", script], { env })
    expect([line, stdout.trim().split("\n").sort(), stderr]).toEqual([line, rest, ""])
  }
  const bound = await execute(["bash", "-c", 'eval "$(sloop completion bash)"; complete -p sloop'], { env })
  expect(bound.stdout).toBe("complete -F _sloop sloop\n")
}, 60_000)

test("fish", async () => {
  if (!has("fish")) return
  for (const [line, expected] of lines) {
    const script = `sloop completion fish | source; complete -C ${JSON.stringify(line)}`
    const { stdout, stderr } = await execute(["fish", "--no-config", "-c", script], {
      env: { ...env, HOME: engine.work },
    })
    const words = stdout
      .split("\n")
      .filter(Boolean)
      .map((word) => word.split("\t")[0])
      .sort()
    expect([line, words, stderr]).toEqual([line, [...expected], ""])
  }
}, 60_000)

test("zsh", async () => {
  if (!has("zsh")) return
  for (const [line, expected] of lines) {
    const words = line
      .split(" ")
      .map((word) => JSON.stringify(word))
      .join(" ")
    // Stands in for the completion system, which needs a terminal: it shows what it is given.
    const script = `_describe() { print -rl -- "\${(@P)3}" }; _files() { }; compdef() { }
source <(sloop completion zsh); words=(${words}); CURRENT=\${#words}; _sloop`
    const { stdout, stderr } = await execute(["zsh", "-f", "-c", script], { env })
    const found = stdout
      .split("\n")
      .filter(Boolean)
      .map((word) => word.replace(/(?<!\\):.*$/, "").replaceAll("\\:", ":"))
      .sort()
    expect([line, found, stderr]).toEqual([line, [...expected], ""])
  }
}, 60_000)

test("no daemon is started, and nothing is said, where none answers", async () => {
  const quiet = { ...env, DOCKER_HOST: "", SLOOP_RUN_ROOT: join(engine.work, "nowhere") }
  const { stdout, stderr, code } = await execute(["sloop", "__complete", "--", "stop", ""], { env: quiet })
  expect([stdout, stderr, code]).toEqual([":words\n", "", 0])
  expect((await execute(["sloop", "completion", "csh"], { env })).stderr).toContain(
    "use one of bash, zsh, fish",
  )
}, 60_000)
