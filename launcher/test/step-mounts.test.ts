// What steps of builds mount: paths of trees of layers, and secrets that are in memory only.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Operation, startLauncher, type TestLauncher } from "./client.ts"
import { type ContainerWish, failureOf, makeRoot, type Run, run, standardMounts } from "./container.ts"

let launcher: TestLauncher
let root: string
let count = 0
let lower: readonly string[]

beforeAll(async () => {
  launcher = await startLauncher()
  root = makeRoot(join(launcher.directory, "root"))
  const at = (name: string) => join(launcher.directory, name)
  mkdirSync(at("top/dir/deep"), { recursive: true })
  writeFileSync(at("top/dir/file"), "top")
  writeFileSync(at("top/dir/deep/f"), "deep")
  symlinkSync("/dir", at("top/absolute"))
  symlinkSync("../../../../../etc/hostname", at("top/escaping"))
  mkdirSync(at("bottom"))
  writeFileSync(at("bottom/only"), "bottom")
  lower = [at("top"), at("bottom")]
})
afterAll(() => launcher[Symbol.asyncDispose]())

const shell = (
  script: string,
  mounts: readonly Operation[],
  wish: Partial<ContainerWish> = {},
): Promise<Run> =>
  run(
    launcher.socket,
    join(launcher.directory, `c${++count}`),
    {
      root: [["root-path", root]],
      argv: ["sh", "-c", script],
      mounts: [...standardMounts, ...mounts],
      ...wish,
    },
    "",
  )
const tree = (target: string, subpath: string, flags = "ro"): Operation => [
  "tree",
  target,
  flags,
  subpath,
  "",
  "",
  "",
  ...lower,
]

test("a tree of plain layers, whole and read-only, in a fresh and in a stocked namespace", async () => {
  for (let turn = 0; turn < 3; turn++) {
    const { stdout, stderr } = await shell("cat /m/only /m/dir/file; touch /m/x", [tree("/m", "")])
    expect(stdout).toBe("bottomtop")
    expect(stderr).toContain("Read-only file system")
  }
})

test("a view of plain layers in a stocked namespace", async () => {
  for (let turn = 0; turn < 3; turn++) {
    const view: Operation = ["view", "/v", "", "", ...lower]
    expect((await shell("cat /v/only; touch /v/x || echo refused", [view])).stdout).toBe("bottomrefused\n")
  }
})

test.each([
  ["dir", "cat /m/file", "top"],
  ["/dir/deep", "cat /m/f", "deep"],
  ["dir/file", "cat /m", "top"],
  ["absolute/file", "cat /m", "top"],
  ["dir/../only", "cat /m", "bottom"],
])("the subpath %s of a tree", async (subpath, script, expected) => {
  const target = `/m${++count}`
  expect((await shell(script.replace("/m", target), [tree(target, subpath)])).stdout).toBe(expected)
})

test.each([["nowhere"], ["escaping"], ["../../../../../../../etc/shadow"], ["dir/file/x"]])(
  "the subpath %s is not there",
  async (subpath) => {
    expect(failureOf(await shell("true", [tree("/m", subpath)]))).toMatchObject({
      step: "tree",
      path: subpath,
    })
  },
)

test("a tree with an upper directory takes writes, and the layers do not", async () => {
  const [upper, work] = ["tree-upper", "tree-work"].map((name) => join(launcher.directory, name))
  for (const path of [upper, work]) mkdirSync(path ?? "")
  const operation: Operation = ["tree", "/m", "", "dir", upper ?? "", work ?? "", "volatile", ...lower]
  expect((await shell("echo new > /m/new; rm /m/file; ls /m", [operation])).stdout).toBe("deep\nnew\n")
  expect(readFileSync(join(upper ?? "", "dir/new"), "utf8")).toBe("new\n")
  expect(existsSync(join(lower[0] ?? "", "dir/file"))).toBe(true)
})

const hex = (text: string) => Buffer.from(text).toString("hex")

test("a secret is a read-only file with its mode and owner, and nowhere else", async () => {
  const operation: Operation = ["secret", "/run/secrets/s", "440", 5, 6, hex("hidden word")]
  const script =
    "cat /run/secrets/s; stat -c ' %a %u %g' /run/secrets/s; grep -c ' /run/secrets/s ro.*tmpfs' /proc/self/mountinfo; echo x > /run/secrets/s"
  const { stdout, stderr } = await shell(script, [operation])
  expect(stdout).toBe("hidden word 440 5 6\n1\n")
  expect(stderr).toContain("Read-only file system")
  // The mount point is an empty file.
  expect(readFileSync(join(root, "run/secrets/s"), "utf8")).toBe("")
  expect(readdirSync(join(root, "run/secrets"))).toEqual(["s"])
})

test("secrets of nothing, of every byte, and one that can be run", async () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, at) => at)).toString("hex")
  const script = "wc -c < /s0; wc -c < /s1; /s2"
  const { stdout } = await shell(script, [
    ["secret", "/s0", "400", 0, 0, ""],
    ["secret", "/s1", "400", 0, 0, bytes],
    ["secret", "/s2", "500", 0, 0, hex("#!/bin/sh\necho ran\n")],
  ])
  expect(stdout).toBe("0\n256\nran\n")
})

test.each([
  ["999", 0, 0, "00"],
  ["4755", 0, 0, "00"],
  ["400", -1, 0, "00"],
  ["400", 0, 4294967295, "00"],
  ["400", 0, 0, "0g"],
  ["400", 0, 0, "000"],
])("a secret with mode %p, owner %p:%p and bytes %p is refused", async (mode, uid, gid, bytes) => {
  const result = await shell("true", [["secret", "/refused", mode, uid, gid, bytes]])
  expect(failureOf(result)).toMatchObject({ step: "secret", path: "/refused" })
})

test("neither goes over the root, /proc, or what an image redirects", async () => {
  symlinkSync("/etc", join(root, "linked"))
  mkdirSync(join(root, "tricky"))
  symlinkSync("/proc/self/root/etc", join(root, "tricky/magic"))
  for (const operation of [
    tree("/", ""),
    tree("/proc/sys", ""),
    ["secret", "/proc/self/environ", "400", 0, 0, hex("x")] as Operation,
  ])
    expect(failureOf(await shell("true", [operation])).errno).toBeGreaterThan(0)
  const linked = await shell("cat /etc/here", [["secret", "/linked/here", "400", 0, 0, hex("in the root")]])
  expect(linked.stdout).toBe("in the root")
  expect(existsSync("/etc/here")).toBe(false)
})
