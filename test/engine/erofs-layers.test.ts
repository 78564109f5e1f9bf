// Layers as EROFS images in a whole engine: nothing of them in the host's mount table, nothing held after they are removed, and
// nothing left when the engine ends.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs"
import { join } from "node:path"
import { writeTar } from "../../src/base/tar-writer.ts"
import { gather } from "../fixtures/busybox-image.ts"
import { startEngine, type TestEngine } from "../fixtures/engine.ts"

let engine: TestEngine
beforeAll(async () => {
  engine = await startEngine({ flags: ["--snapshotter", "erofs"] })
})
afterAll(() => engine.close())

const launcherPid = (): number => {
  const socket = join(engine.root, "run", "launcher.sock")
  for (const pid of readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name)))
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")
      if (words[1] === "serve" && words[2] === socket && parentOf(Number(pid)) !== "launcher")
        return Number(pid)
    } catch {
      // It has ended.
    }
  throw new Error("the launcher is not found")
}
const parentOf = (pid: number): string => {
  const parent = /^PPid:\s*([0-9]+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "0"
  const words = existsSync(`/proc/${parent}/cmdline`)
    ? readFileSync(`/proc/${parent}/cmdline`, "utf8").split("\0")
    : []
  return words[1] === "serve" ? "launcher" : ""
}
/** Descriptors of detached mounts show as the root of a tree of their own. */
const held = (): number =>
  readdirSync(`/proc/${launcherPid()}/fd`).filter((fd) => {
    try {
      return readlinkSync(`/proc/${launcherPid()}/fd/${fd}`) === "/"
    } catch {
      return false
    }
  }).length
const mounts = () => readFileSync("/proc/self/mountinfo", "utf8")
const eventually = async (holds: () => boolean): Promise<void> => {
  for (let tries = 0; tries < 100 && !holds(); tries++) await Bun.sleep(50)
  expect(holds()).toBe(true)
}

test("info says how layers are kept", async () => {
  expect(await engine.ok("info", "-f", "{{.Driver}} {{json .DriverStatus}}")).toMatch(
    /^overlay2 .*\["Layers","EROFS images over their tars"\]/,
  )
})

test("containers share one mount of each layer, which the host does not see and removal gives back", async () => {
  const before = held()
  await engine.ok("run", "--rm", "busybox", "true")
  const one = held()
  expect(one).toBe(before + 1)
  await engine.ok("run", "-d", "--name", "one", "busybox", "sleep", "100")
  await engine.ok("run", "-d", "--name", "two", "busybox", "sleep", "100")
  expect(held()).toBe(one)
  expect(mounts()).not.toContain("erofs")
  const layer = await gather(writeTar([{ name: "f", type: "file", body: Buffer.from("f") }]))
  await engine.dockerWith({ stdin: layer }, "import", "-", "other:1")
  await engine.docker("run", "--rm", "other:1", "/none")
  expect(held()).toBe(one + 1)
  await engine.ok("rmi", "other:1")
  await eventually(() => held() === one)
  await engine.ok("rm", "-f", "one", "two")
}, 30_000)

test("a copied-up file of a layer, its owner, mode, times and links are as unpacked ones would be", async () => {
  const tar = await gather(
    writeTar([
      { name: "bin/", type: "directory" },
      { name: "data/", type: "directory", mode: 0o1777 },
      { name: "data/f", type: "file", mode: 0o640, mtime: 86_400, body: Buffer.from("lower") },
      { name: "data/hard", type: "hardlink", linkName: "data/f" },
      { name: "data/l", type: "symlink", linkName: "f" },
    ]),
  )
  await engine.dockerWith({ stdin: tar }, "import", "-", "data:1")
  const script = [
    "cd /layer/data",
    "stat -c '%a %h %Y' f",
    "cat l",
    "stat -c %a .",
    "test f -ef hard && echo same",
    "find / -xdev -name busybox | head -1",
  ].join("; ")
  const shown = await engine.ok(
    "run",
    "--rm",
    "--mount",
    "type=image,source=data:1,target=/layer",
    "busybox",
    "sh",
    "-c",
    script,
  )
  expect(shown.split("\n")).toEqual(["640 2 86400", "lower1777", "same", "/bin/busybox"])
  const changed = await engine.ok(
    "run",
    "--rm",
    "busybox",
    "sh",
    "-c",
    "chmod 700 /bin/busybox && stat -c %a /bin/busybox && cp /bin/busybox /bin/copy && rm /bin/busybox && test ! -e /bin/busybox",
  )
  expect(changed).toBe("700")
}, 30_000)

test("a killed daemon finds its layers again, and a new launcher mounts them anew", async () => {
  await engine.ok("run", "-d", "--name", "lives", "busybox", "sleep", "100")
  await engine.kill9()
  process.kill(launcherPid(), "SIGKILL")
  await engine.start()
  expect(await engine.ok("exec", "lives", "echo", "there")).toBe("there")
  expect(await engine.ok("run", "--rm", "busybox", "echo", "anew")).toBe("anew")
  await engine.ok("rm", "-f", "lives")
}, 30_000)

test("a directory that two layers make together still lists the one above it", async () => {
  for (const [name, from] of [
    ["one", "busybox"],
    ["two", "twice"],
  ] as const) {
    await engine.ok("run", "--name", name, from, "sh", "-c", `mkdir -p /both && touch /both/${name}`)
    await engine.ok("commit", name, "twice")
    await engine.ok("rm", name)
  }
  expect(await engine.ok("run", "--rm", "twice", "ls", "-a", "/both")).toBe(".\n..\none\ntwo")
  await engine.ok("rmi", "twice")
})
