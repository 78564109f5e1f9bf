// The process a container runs: user, groups, capabilities, seccomp, limits, environment, and why it did not start.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Operation, startLauncher, type TestLauncher } from "./client.ts"
import { type ContainerWish, failureOf, makeRoot, type Run, run, standardMounts } from "./container.ts"

let launcher: TestLauncher
let root: string
let count = 0

beforeAll(async () => {
  launcher = await startLauncher()
  root = makeRoot(join(launcher.directory, "root"))
})
afterAll(() => launcher[Symbol.asyncDispose]())

const start = (wish: Partial<ContainerWish>): Promise<Run> =>
  run(launcher.socket, join(launcher.directory, `c${++count}`), {
    root: [["root-path", root]],
    argv: ["true"],
    mounts: standardMounts,
    ...wish,
  })
const shell = (script: string, ...operations: Operation[]): Promise<Run> =>
  start({ argv: ["sh", "-c", script], operations })
const program = async (...argv: string[]) => failureOf(await start({ argv }))
const file = (name: string, content: string | Uint8Array, mode = 0o755): string => {
  writeFileSync(join(root, name), content)
  chmodSync(join(root, name), mode)
  return `/${name}`
}

test.each([
  ["", "uid=0(root) gid=0(root) groups=0(root),10(wheel)"],
  ["user", "uid=1000(user) gid=1000(user) groups=10(wheel),29(audio),1000(user)"],
  ["1000", "uid=1000(user) gid=1000(user) groups=10(wheel),29(audio),1000(user)"],
  ["user:audio", "uid=1000(user) gid=29(audio) groups=29(audio)"],
  ["4321:8765", "uid=4321 gid=8765 groups=8765"],
  ["4321", "uid=4321 gid=0(root) groups=0(root)"],
])("user %p", async (spec, expected) => {
  expect((await shell("id", ["user", spec])).stdout.trim()).toBe(expected)
})

test.each([
  "2147483648",
  "4294967296",
  "007",
  "-1",
  "nobody-here",
  "broken",
  "user:none",
  "1000:4294967295",
  "1000:01",
])("user %p is refused", async (spec) => {
  expect(failureOf(await shell("id", ["user", spec])).step).toBe("user")
})

test("group-add by number and name; HOME of the user", async () => {
  const result = await shell(
    "id -G; echo $HOME",
    ["user", "user"],
    ["group-add", "audio"],
    ["group-add", 777],
  )
  expect(result.stdout).toBe("1000 10 29 777\n/home/user\n")
  expect((await shell("echo $HOME", ["env", "HOME=/else"])).stdout).toBe("/else\n")
})

const capabilities = async (caps: string[], ...operations: Operation[]): Promise<string> => {
  const script =
    "while read k v; do case $k in CapInh:|CapPrm:|CapEff:|CapBnd:|CapAmb:) echo $v;; esac; done < /proc/self/status"
  const result = await start({ argv: ["sh", "-c", script], caps, operations })
  return result.stdout
    .trim()
    .split("\n")
    .map((text) => BigInt(`0x${text}`).toString(16))
    .join(" ")
}

test("capabilities are exactly as asked", async () => {
  expect(await capabilities(["a80425fb", "a80425fb", "a80425fb", "0", "0"])).toBe(
    "0 a80425fb a80425fb a80425fb 0",
  )
  expect(await capabilities(["0", "0", "0", "0", "0"])).toBe("0 0 0 0 0")
  expect(await capabilities(["a80425fb", "a80425fb", "a80425fb", "0", "0"], ["user", "user"])).toBe(
    "0 0 0 a80425fb 0",
  )
  expect(await capabilities(["2400", "2400", "2400", "400", "400"], ["user", "user"])).toBe(
    "400 400 400 2400 400",
  )
})

test("no-new-privileges, umask, working directory", async () => {
  const result = await shell(
    "grep NoNew /proc/self/status; umask; pwd",
    ["no-new-privileges"],
    ["umask", "027"],
    ["cwd", "/made/here", "create"],
  )
  expect(result.stdout).toBe("NoNewPrivs:\t1\n0027\n/made/here\n")
  expect(failureOf(await shell("true", ["cwd", "/missing", "exist"]))).toMatchObject({
    step: "cwd",
    errno: 2,
  })
})

// ld [nr]; jeq mkdir, mkdirat → errno 13; ret allow
const denyMkdir = (() => {
  const code = Buffer.alloc(5 * 8)
  const put = (at: number, op: number, jt: number, jf: number, k: number) => {
    code.writeUInt16LE(op, at * 8)
    code[at * 8 + 2] = jt
    code[at * 8 + 3] = jf
    code.writeUInt32LE(k, at * 8 + 4)
  }
  put(0, 0x20, 0, 0, 0)
  put(1, 0x15, 1, 0, 83)
  put(2, 0x15, 0, 1, 258)
  put(3, 0x06, 0, 0, 0x0005000d)
  put(4, 0x06, 0, 0, 0x7fff0000)
  return code.toString("hex")
})()

test("seccomp with and without no-new-privileges", async () => {
  for (const operations of [[], [["no-new-privileges"]]] as Operation[][]) {
    const result = await shell(
      "mkdir /denied; grep Seccomp: /proc/self/status",
      ...operations,
      ["seccomp", denyMkdir, 0],
      ["user", "user"],
    )
    expect(result.stderr).toContain("Permission denied")
    expect(result.stdout).toBe("Seccomp:\t2\n")
  }
  expect(failureOf(await shell("true", ["seccomp", "00", 0])).step).toBe("seccomp")
})

test("rlimits, and what happens when they may not be raised", async () => {
  expect((await shell("ulimit -n; ulimit -Hn", ["rlimit", "nofile", 100, 200])).stdout).toBe("100\n200\n")
  expect(failureOf(await shell("true", ["rlimit", "nofile", 5, 4])).step).toBe("rlimit")
  expect(failureOf(await shell("true", ["rlimit", "nothing", 5, 5])).step).toBe("rlimit")
  const raised = await shell("ulimit -n", ["rlimit", "nofile", 1000, 900000000])
  expect(failureOf(raised).step).toBe("rlimit")
})

test("oom-score-adj", async () => {
  expect((await shell("cat /proc/self/oom_score_adj", ["oom-score-adj", 500])).stdout).toBe("500\n")
  expect(failureOf(await shell("true", ["oom-score-adj", 1001])).step).toBe("oom-score-adj")
})

test("no descriptor, signal mask or ignored signal leaks in", async () => {
  expect((await shell("ls /proc/self/fd | grep -v '^[0-3]$'")).stdout).toBe("")
  const status = await start({ argv: ["grep", "-E", "SigBlk|SigIgn", "/proc/self/status"] })
  expect(status.stdout.replaceAll(/0{16}/g, "0")).toBe("SigBlk:\t0\nSigIgn:\t0\n")
})

test("init: reaps, forwards signals, ends as its command", async () => {
  const result = await start({
    argv: [
      "sh",
      "-c",
      "cat /proc/1/comm; (sleep 0.05 &) ; sleep 0.2; grep -c '^State:.Z' /proc/[0-9]*/status | grep -vc ':0'; ls /proc/1/fd; exit 9",
    ],
    operations: [["init"]],
  })
  expect([result.stdout, result.code]).toEqual(["sloop-init\n0\n", 9])
  const signalled = await start({
    argv: ["sh", "-c", "trap 'echo got; exit 3' TERM; kill -TERM 1; sleep 0.3"],
    operations: [["init"]],
  })
  expect([signalled.stdout, signalled.code]).toEqual(["got\n", 3])
  const killed = await start({ argv: ["sh", "-c", "kill -KILL $$"], operations: [["init"]] })
  expect(killed.code).toBe(137)
  const missing = await start({ argv: ["/none"], operations: [["init"]] })
  expect(failureOf(missing)).toMatchObject({ step: "exec", errno: 2 })
})

const elf = (machine: number, loader = ""): Uint8Array => {
  const bytes = Buffer.alloc(512)
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  bytes.writeUInt16LE(2, 16)
  bytes.writeUInt16LE(machine, 18)
  bytes.writeUInt32LE(1, 20)
  bytes.writeBigUInt64LE(64n, 32)
  bytes.writeUInt16LE(64, 52)
  bytes.writeUInt16LE(56, 54)
  bytes.writeUInt16LE(1, 56)
  bytes.writeUInt32LE(3, 64)
  bytes.writeBigUInt64LE(256n, 72)
  bytes.writeBigUInt64LE(BigInt(loader.length + 1), 96)
  bytes.write(`${loader}\0`, 256)
  return bytes
}

test("the true cause of a program that does not start", async () => {
  expect(await program("nothing-like-it")).toMatchObject({ errno: 2, message: "" })
  expect(await program("/nothing")).toMatchObject({ errno: 2, message: "" })
  expect((await program(file("script", "#!/bin/foo\n"))).message).toBe('interpreter "/bin/foo" not found')
  expect((await program(file("windows", "#!/bin/sh\r\necho\r\n"))).message).toBe(
    "the script has Windows (CR LF) line endings",
  )
  const arm = process.arch === "x64" ? 183 : 62
  expect((await program(file("arm", elf(arm)))).message).toMatch(/built for \w+, this machine is/)
  const own = process.arch === "x64" ? 62 : 183
  expect((await program(file("dynamic", elf(own, "/lib64/ld-none.so.2")))).message).toBe(
    "the dynamic loader /lib64/ld-none.so.2 is missing",
  )
  expect(await program(file("plain", "echo hi\n"))).toMatchObject({
    errno: 8,
    message: "the file is neither an ELF program nor a script with a #! line",
  })
  expect((await program(file("empty", ""))).message).toBe("the file is empty")
  expect(await program("/etc")).toMatchObject({ errno: 13, message: "it is a directory" })
  expect(await program(file("data", "x", 0o644))).toMatchObject({
    errno: 13,
    message: "the file is not executable (mode 0644)",
  })
  symlinkSync("/gone", join(root, "dangling"))
  expect((await program("/dangling")).message).toBe("the program is a symbolic link that leads nowhere")
  mkdirSync(join(root, "opt"), { recursive: true })
  const user = failureOf(
    await start({ argv: [file("private", "#!/bin/sh\n", 0o700)], operations: [["user", "user"]] }),
  )
  expect(user).toMatchObject({ errno: 13 })
  expect(user.message).toContain("the user may not execute the file")
})
