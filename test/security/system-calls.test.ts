// The default seccomp profile, asked by a program that makes the calls, by all three doors into the kernel.
import { afterAll, expect, test } from "bun:test"
import { join } from "node:path"
import { compile } from "../fixtures/c-program.ts"
import { startEngine } from "../fixtures/engine.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const programs = compile(join(engine.work, "programs"), join(import.meta.dir, "syscalls.c"))

const ask = async (...flags: string[]): Promise<Map<string, string>> => {
  const output = await engine.ok("run", "--rm", "-v", `${programs}:/t:ro`, ...flags, "busybox", "/t/syscalls")
  return new Map(
    output.split("\n").map((line) => [line.slice(0, line.indexOf(" ")), line.split(" ")[1] ?? ""]),
  )
}

const everyday = ["getpid", "socket-inet", "fork"]
/** No such call (so that a C library falls back), and: an address family that cannot be paired at all. */
const absent: Readonly<Record<string, string>> = {
  "clone3-user": "38",
  clone3: "38",
  "x32-socket-alg": "38",
  "x32-unshare": "38",
  "socketpair-alg": "97",
}

for (const [title, flags] of [
  ["by default", []],
  ["as a user", ["-u", "1000:1000"]],
  ["with no-new-privileges", ["--security-opt", "no-new-privileges"]],
  ["with a tiny init", ["--init"]],
] as const) {
  test(`AF_ALG, keyctl, bpf, io_uring, userfaultfd, new namespaces and mounts are denied ${title} (CVE-2026-31431)`, async () => {
    const answers = await ask(...flags)
    expect(answers.size).toBeGreaterThan(35)
    for (const [name, answer] of answers) {
      expect(`${name} ${answer}`).toBe(`${name} ${everyday.includes(name) ? "ok" : (absent[name] ?? "1")}`)
    }
  })
}

test("an exec has the same filter", async () => {
  const id = await engine.ok("run", "-d", "-v", `${programs}:/t:ro`, "busybox", "sleep", "60")
  const output = await engine.ok("exec", id, "/t/syscalls")
  for (const line of output.split("\n")) {
    const [name = "", answer] = line.split(" ")
    expect(`${name} ${answer}`).toBe(`${name} ${everyday.includes(name) ? "ok" : (absent[name] ?? "1")}`)
  }
  await engine.ok("rm", "-f", id)
})

test("a capability opens its own calls only", async () => {
  const answers = await ask("--cap-add", "SYS_ADMIN")
  expect(answers.get("unshare-mount")).toBe("ok")
  for (const name of ["socket-alg", "i386-socketcall-alg", "keyctl", "io_uring_setup", "userfaultfd"]) {
    if (answers.has(name)) expect(`${name} ${answers.get(name)}`).toBe(`${name} 1`)
  }
  // Even with every capability the kernel is not reached by what the profile never allows.
  const all = await ask("--cap-add", "ALL")
  for (const name of ["socket-alg", "keyctl", "io_uring_setup"]) expect(all.get(name)).toBe("1")
})

test("the filter is off only when it is asked for", async () => {
  expect((await ask("--security-opt", "seccomp=unconfined")).get("keyctl")).toBe("ok")
  expect((await ask("--privileged")).get("keyctl")).toBe("ok")
})
