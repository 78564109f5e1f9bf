// cgroup-kill on real cgroups of whatever kind this machine has, and probe's answers about them.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs"
import { release } from "node:os"
import { join } from "node:path"
import { ask, startLauncher, type TestLauncher } from "./client.ts"

let launcher: TestLauncher
let features: Readonly<Record<string, string>>
beforeAll(async () => {
  launcher = await startLauncher()
  features = (await ask(launcher.socket, [["probe"]])).values
})
afterAll(() => launcher[Symbol.asyncDispose]())

const hierarchies = (): string[] =>
  [features["cgroup-v2"], features["cgroup-v1-freezer"], features["cgroup-v1-pids"]].filter(
    (path) => path !== undefined,
  )

/** A process that ignores signals and makes others; it is in the cgroup before it starts. */
function crowd(cgroup: string): { readonly process: ChildProcess; readonly ended: Promise<void> } {
  mkdirSync(join(cgroup, "sub"), { recursive: true })
  const script = `echo $$ > ${cgroup}/sub/cgroup.procs; trap '' TERM INT HUP; for i in 1 2 3 4 5; do sleep 1000 & done; wait`
  const child = spawn("sh", ["-c", script], { stdio: "ignore" })
  return { process: child, ended: new Promise((resolve) => child.once("exit", () => resolve())) }
}

test("everything in a cgroup and beneath it dies and the cgroup goes away", async () => {
  for (const hierarchy of hierarchies()) {
    const cgroup = join(hierarchy, `sloop-l3-${process.pid}`)
    const people = crowd(cgroup)
    await Bun.sleep(30)
    const answer = await ask(launcher.socket, [
      ["cgroup-kill"],
      ["path", cgroup, join(hierarchy, "sloop-l3-none")],
    ])
    await people.ended
    expect([answer.kind, existsSync(cgroup), people.process.signalCode]).toEqual(["ok", false, "SIGKILL"])
  }
})

test("a frozen cgroup dies too", async () => {
  const freezer = features["cgroup-v1-freezer"] ?? features["cgroup-v2"] ?? ""
  const cgroup = join(freezer, `sloop-l3-frozen-${process.pid}`)
  const people = crowd(cgroup)
  await Bun.sleep(30)
  if (features["cgroup-v1-freezer"]) writeFileSync(join(cgroup, "freezer.state"), "FROZEN")
  else writeFileSync(join(cgroup, "cgroup.freeze"), "1")
  const answer = await ask(launcher.socket, [["cgroup-kill"], ["path", cgroup]])
  await people.ended
  expect([answer.kind, existsSync(cgroup)]).toEqual(["ok", false])
})

test("the root of a hierarchy and what is no cgroup are refused", async () => {
  const inside = join(hierarchies()[0] ?? "", `sloop-l3-own-${process.pid}`)
  for (const path of [...hierarchies(), "/tmp", "/"])
    expect((await ask(launcher.socket, [["cgroup-kill"], ["path", path]])).fields[3]).toBe(
      "it is not a cgroup beneath a hierarchy's root",
    )
  mkdirSync(inside)
  rmdirSync(inside)
})

test("probe knows the kernel, the cgroups and the capabilities", () => {
  expect(features.kernel).toBe(release())
  expect(["v1", "hybrid", "v2"]).toContain(features["cgroup-mode"] ?? "")
  expect(features.capabilities).toMatch(/^[0-9a-f]+$/)
  for (const key of [
    "overlay",
    "erofs-file",
    "seccomp",
    "user-namespaces",
    "nf-tables",
    "veth",
    "bridge",
    "idmapped-mounts",
    "apparmor",
  ])
    expect(features[key]).toMatch(/^(yes|no)$/)
  for (const path of hierarchies()) expect(existsSync(join(path, "cgroup.procs"))).toBe(true)
})
