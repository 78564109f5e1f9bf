// Starting containers: namespaces, mounts, nodes, cgroups, limits, terminal, and what remains after a failure.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Operation, startLauncher, type TestLauncher } from "./client.ts"
import {
  type ContainerWish,
  failureOf,
  makeRoot,
  ownNamespace,
  type Run,
  run,
  standardMasks,
  standardMounts,
} from "./container.ts"

let launcher: TestLauncher
let root: string
let host: string
let count = 0

beforeAll(async () => {
  launcher = await startLauncher()
  root = makeRoot(join(launcher.directory, "root"))
  host = mkdtempSync("/var/tmp/sloop-test/host-")
})
afterAll(async () => {
  await launcher[Symbol.asyncDispose]()
  rmSync(host, { recursive: true, force: true })
})

const place = (): string => join(launcher.directory, `c${++count}`)
const start = (wish: Partial<ContainerWish>, input = ""): Promise<Run> =>
  run(launcher.socket, place(), { root: [["root-path", root]], argv: ["true"], ...wish }, input)
const shell = (script: string, wish: Partial<ContainerWish> = {}, input = ""): Promise<Run> =>
  start({ argv: ["sh", "-c", script], ...wish }, input)
const operations = (...list: Operation[]): Partial<ContainerWish> => ({ operations: list })
const also = (...list: Operation[]): Partial<ContainerWish> => ({ mounts: [...standardMounts, ...list] })

test("a container reports started and exited with its code", async () => {
  const result = await shell("echo out; echo err >&2; exit 7")
  expect(result.reports.map((report) => report.kind)).toEqual(["listening", "started", "exited"])
  expect([result.stdout, result.stderr, result.code]).toEqual(["out\n", "err\n", 7])
})

test("what is not held fails a launch before anyone is told that its monitor listens", async () => {
  for (let round = 0; round < 10; round++) {
    const result = await start({
      namespaces: ["mount", "pid", "uts", "ipc", "cgroup"],
      ...operations(["namespace", "network", "held:nobody"]),
    })
    expect(result.reports.map(({ kind, fields }) => [kind, ...fields.slice(0, 3)])).toEqual([
      ["failed", "namespace", "held:nobody", "2"],
    ])
  }
})

test("stdin reaches the process and ends", async () => {
  expect((await start({ argv: ["cat"] }, "hello")).stdout).toBe("hello")
})

test("new namespaces differ from the host's, others are the host's", async () => {
  const script = "for n in mnt pid net uts ipc cgroup user; do readlink /proc/self/ns/$n; done"
  const fresh = (await shell(script)).stdout.trim().split("\n")
  const kinds = ["mnt", "pid", "net", "uts", "ipc", "cgroup"]
  for (const [index, kind] of kinds.entries()) expect(fresh[index]).not.toBe(ownNamespace(kind))
  expect(fresh[6]).toBe(ownNamespace("user"))
  const shared = (
    await shell(script, {
      namespaces: ["mount"],
      mounts: [["bind", "/proc", "/proc", "rec", "dir", ""]],
      named: false,
    })
  ).stdout
  for (const kind of ["pid", "net", "uts", "ipc", "cgroup"])
    expect(shared).toContain(`${ownNamespace(kind)}\n`)
})

test("what would change the host is refused: its name, its sysctls", async () => {
  const hosts: Partial<ContainerWish> = { namespaces: ["mount"], mounts: [] }
  expect(failureOf(await start(hosts))).toMatchObject({ step: "hostname", errno: 1 })
  for (const key of ["net.ipv4.ip_forward", "kernel.shmmax", "kernel.panic", "vm.swappiness"])
    expect(
      failureOf(await start({ ...hosts, named: false, ...operations(["sysctl", key, "1"]) })),
    ).toMatchObject({ step: "sysctl", errno: 1 })
})

test("overlay: reads layers from top to bottom and writes into the upper directory", async () => {
  const at = join(launcher.directory, "overlay")
  for (const name of ["top", "middle", "upper", "work"]) mkdirSync(join(at, name), { recursive: true })
  writeFileSync(join(at, "top/which"), "top")
  writeFileSync(join(at, "middle/which"), "middle")
  writeFileSync(join(at, "middle/only"), "middle")
  const layers = [join(at, "top"), join(at, "middle"), root]
  const overlay: Operation = ["root-overlay", join(at, "upper"), join(at, "work"), "xino=off", ...layers]
  const result = await shell("cat /which /only; echo new > /written", { root: [overlay] })
  expect(result.stdout).toBe("topmiddle")
  expect(readFileSync(join(at, "upper/written"), "utf8")).toBe("new\n")
  const view = await shell("cat /which; touch /no", {
    root: [["root-overlay", "", "", "", ...layers]],
    mounts: [],
  })
  expect(view.stdout).toBe("top")
  expect(view.stderr).toContain("Read-only file system")
})

test("overlay layers may have paths longer than fsconfig's 255 bytes, and 300 layers stack", async () => {
  const deep = join(launcher.directory, "d".repeat(200), "e".repeat(100))
  const layers = Array.from({ length: 300 }, (_, n) => join(deep, String(n)))
  for (const layer of [...layers, join(deep, "upper"), join(deep, "work")])
    mkdirSync(layer, { recursive: true })
  writeFileSync(join(layers[299] ?? "", "last"), "last")
  const overlay: Operation = [
    "root-overlay",
    join(deep, "upper"),
    join(deep, "work"),
    "volatile",
    ...layers,
    root,
  ]
  expect((await shell("cat /last", { root: [overlay] })).stdout).toBe("last")
})

test("binds: read-only, files, subpaths, created targets, mounts made on the host later", async () => {
  mkdirSync(join(host, "volume/sub"), { recursive: true })
  writeFileSync(join(host, "volume/sub/file"), "content")
  const result = await shell(
    "cat /made/for/it/sub/file; touch /made/for/it/x; cat /sub/file; cat /etc/one; grep /made /proc/self/mountinfo | cut -d' ' -f6,7",
    also(
      ["bind", join(host, "volume"), "/made/for/it", "ro", "dir", ""],
      ["bind", join(host, "volume"), "/sub", "rec", "any", "sub"],
      ["bind", join(host, "volume/sub/file"), "/etc/one", "", "file", ""],
    ),
  )
  expect(result.stdout).toContain("contentcontentcontentro,relatime")
  expect(result.stderr).toContain("Read-only file system")
  mkdirSync(join(host, "late"))
  Bun.spawnSync(["mount", "-t", "tmpfs", "late", join(host, "late")])
  try {
    writeFileSync(join(host, "late/seen"), "late")
    expect(
      (await shell("cat /late/seen", also(["bind", join(host, "late"), "/late", "", "dir", ""]))).stdout,
    ).toBe("late")
  } finally {
    Bun.spawnSync(["umount", join(host, "late")])
  }
})

test("a missing bind source and a subpath that escapes are refused", async () => {
  const missing = failureOf(await shell("true", also(["bind", join(host, "none"), "/x", "", "any", ""])))
  expect(missing).toMatchObject({ step: "bind", errno: 2 })
  symlinkSync("/etc", join(host, "escape"))
  const escaped = failureOf(await shell("true", also(["bind", host, "/x", "", "any", "escape"])))
  expect(escaped).toMatchObject({ step: "bind", errno: 18 })
})

test("masks and read-only paths", async () => {
  const result = await shell("wc -c < /proc/keys; ls /sys/firmware; echo 1 > /proc/sys/kernel/panic", {
    mounts: [...standardMounts, ...standardMasks],
  })
  expect(result.stdout).toBe("0\n")
  expect(result.stderr).toContain("Read-only file system")
})

test("root-readonly leaves mounts writable", async () => {
  const result = await shell(
    "touch /x || echo refused; touch /dev/shm/y && echo written",
    also(["root-readonly"]),
  )
  expect(result.stdout).toBe("refused\nwritten\n")
})

test("sysctls, host name and domain name", async () => {
  const result = await shell(
    "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmax /proc/sys/kernel/domainname; hostname",
    operations(
      ["sysctl", "net.ipv4.ip_forward", "1"],
      ["sysctl", "kernel/shmmax", "123456"],
      ["domainname", "example"],
    ),
  )
  expect(result.stdout).toBe("1\n123456\nexample\ntestbox\n")
  expect(failureOf(await shell("true", operations(["sysctl", "../1/comm", "x"]))).step).toBe("sysctl")
  expect(failureOf(await shell("true", operations(["sysctl", "net.nothing", "x"]))).errno).toBe(2)
})

test("a cgroup is made, limited, entered and seen as the root of its namespace", async () => {
  const name = `sloop-l1-${process.pid}`
  const directories = ["pids", "memory", "cpuset"]
    .map((kind) => `/sys/fs/cgroup/${kind}/${name}/inner`)
    .filter((path) => existsSync(join(path, "../..")))
  const list: Operation[] = directories.map((path) => ["cgroup", path])
  const result = await shell(
    "cat /proc/self/cgroup; cat /sys/fs/cgroup/pids/pids.max; touch /sys/fs/cgroup/pids/x; mkdir /sys/fs/cgroup/pids/y",
    {
      mounts: [
        ...standardMounts,
        ["mount", "tmpfs", "tmpfs", "/sys/fs/cgroup", "nosuid,nodev,noexec", "mode=755"],
        ["mount", "cgroup", "cgroup", "/sys/fs/cgroup/pids", "ro,nosuid,nodev,noexec", "pids"],
      ],
      operations: [
        ...list,
        ["cgroup-write", `/sys/fs/cgroup/pids/${name}/inner/pids.max`, "20", "must"],
        ["cgroup-write", `/sys/fs/cgroup/pids/${name}/inner/none`, "1", "may"],
      ],
    },
  )
  for (const path of directories) for (const at of [path, join(path, "..")]) Bun.spawnSync(["rmdir", at])
  expect(result.stdout).toMatch(/pids:\/\n/)
  expect(result.stdout).toEndWith("20\n")
  expect(result.stderr).toContain("Read-only file system")
})

test.skipIf(!existsSync("/sys/fs/cgroup/cpuset/cgroup.procs"))(
  "many at once beneath a cpuset that is not there yet are all placed",
  async () => {
    for (let round = 0; round < 8; round++) {
      const parent = `/sys/fs/cgroup/cpuset/sloop-l1-${process.pid}-${round}`
      const paths = Array.from({ length: 8 }, (_, index) => `${parent}/above/${index}`)
      const results = await Promise.all(paths.map((path) => shell("echo in", operations(["cgroup", path]))))
      for (const path of [...paths, join(parent, "above"), parent]) Bun.spawnSync(["rmdir", path])
      expect(results.map(({ stdout }) => stdout)).toEqual(paths.map(() => "in\n"))
    }
  },
)

test("after a failure no cgroup and no process is left", async () => {
  const path = `/sys/fs/cgroup/pids/sloop-l1-failed-${process.pid}`
  const result = await start({ argv: ["/no/such/program"], operations: [["cgroup", `${path}/inner`]] })
  expect(failureOf(result)).toMatchObject({ step: "exec", path: "/no/such/program", errno: 2, message: "" })
  expect(existsSync(path)).toBe(false)
  const refused = await start(
    operations(["cgroup", path], ["cgroup-write", `${path}/pids.max`, "many", "must"]),
  )
  expect(failureOf(refused)).toMatchObject({ step: "cgroup-write", errno: 22 })
  expect(existsSync(path)).toBe(false)
})

test("a terminal: console, controlling tty, size, owner", async () => {
  const result = await shell(
    "tty; stty size; test -t 0 && echo terminal; ls -l /dev/console | cut -c1; cat /dev/tty & stat -c %u $(tty)",
    {
      stdio: ["stdio", "tty", "open", "once", 33, 99],
      mounts: [...standardMounts, ["console"]],
      operations: [["user", "user"]],
    },
  )
  expect(result.stdout).toContain("/dev/pts/0\r\n33 99\r\nterminal\r\nc\r\n1000\r\n")
})

test("the plan is checked before anything is done", async () => {
  const unknown = await start(operations(["format-disk", "/dev/sda"]))
  expect(failureOf(unknown)).toMatchObject({ step: "plan", path: "format-disk" })
  expect(failureOf(await start(operations(["umask", "1", "2"]))).step).toBe("plan")
})

test("a user namespace: mapped root, nodes bound from the host", async () => {
  const at = join(launcher.directory, "mapped")
  makeRoot(at)
  Bun.spawnSync(["chown", "-R", "100000:100000", at])
  Bun.spawnSync(["chmod", "711", launcher.directory])
  const result = await shell(
    "id -u; cat /proc/self/uid_map; echo x > /dev/null && stat -c %t:%T /dev/null; touch /mine && echo made",
    {
      root: [["root-path", at]],
      namespaces: ["user", "mount", "pid", "network", "uts", "ipc"],
      operations: [
        ["uid-map", 0, 100000, 65536],
        ["gid-map", 0, 100000, 65536],
      ],
    },
  )
  expect(result.stdout.replaceAll(/ +/g, " ")).toBe("0\n 0 100000 65536\n1:3\nmade\n")
  expect(Bun.spawnSync(["stat", "-c", "%u", join(at, "mine")]).stdout.toString()).toBe("100000\n")
})

test("others' namespaces are joined", async () => {
  const sleeper = Bun.spawn(["unshare", "-n", "-i", "-u", "-p", "-f", "sleep", "30"])
  try {
    await Bun.sleep(150)
    const child = readFileSync(`/proc/${sleeper.pid}/task/${sleeper.pid}/children`, "utf8").trim()
    const theirs = (kind: string) => `/proc/${child}/ns/${kind}`
    const at = place()
    const wish = {
      root: [["root-path", root]] as Operation[],
      argv: ["sh", "-c", "readlink /proc/self/ns/net; readlink /proc/self/ns/pid; ps"],
      namespaces: ["mount"],
    }
    const joined: Operation[] = [
      ["namespace", "network", theirs("net")],
      ["namespace", "pid", theirs("pid")],
      ["namespace", "uts", theirs("uts")],
      ["namespace", "ipc", theirs("ipc")],
    ]
    const result = await run(launcher.socket, at, { ...wish, operations: joined })
    for (const kind of ["net", "pid"])
      expect(result.stdout).toContain(Bun.spawnSync(["readlink", theirs(kind)]).stdout.toString())
    expect(result.stdout).toContain("sleep 30")
  } finally {
    sleeper.kill()
  }
})

const unified = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].find((path) =>
  existsSync(join(path, "cgroup.controllers")),
)

test.skipIf(!unified)("a lone v2 cgroup is entered by the clone; its device program decides", async () => {
  const path = join(unified ?? "", `sloop-l1-v2-${process.pid}`)
  const instruction = (code: number, registers: number, offset: number, immediate: number): string => {
    const bytes = Buffer.alloc(8)
    bytes[0] = code
    bytes[1] = registers
    bytes.writeInt16LE(offset, 2)
    bytes.writeInt32LE(immediate, 4)
    return bytes.toString("hex")
  }
  const program = [
    instruction(0x61, 0x12, 4, 0), // r2 = major
    instruction(0xb7, 0x00, 0, 0), // r0 = 0
    instruction(0x55, 0x02, 3, 1), // if r2 != 1 goto exit
    instruction(0x61, 0x13, 8, 0), // r3 = minor
    instruction(0x55, 0x03, 1, 3), // if r3 != 3 goto exit
    instruction(0xb7, 0x00, 0, 1), // r0 = 1
    instruction(0x95, 0x00, 0, 0), // exit
  ].join("")
  const result = await shell(
    "grep 0:: /proc/self/cgroup; echo > /dev/null && echo null; head -c1 /dev/zero > /dev/null || echo denied",
    {
      namespaces: ["mount", "pid", "uts", "cgroup"],
      mounts: [
        ...standardMounts,
        ["mount", "cgroup2", "cgroup2", "/sys/fs/cgroup", "ro,nosuid,nodev,noexec", ""],
      ],
      operations: [
        ["cgroup", path],
        ["cgroup-write", `${path}/cgroup.max.depth`, "5", "must"],
      ],
    },
  )
  expect(result.stdout).toBe("0::/\nnull\n")
  // The nodes are made before the program holds: they are bound from the host here.
  const nodes: Operation[] = ["null", "zero"].map((name) => [
    "bind",
    `/dev/${name}`,
    `/dev/${name}`,
    "",
    "file",
    "",
  ])
  const limited = await shell("echo > /dev/null && echo null; head -c1 /dev/zero || echo denied", {
    mounts: [...nodes],
    operations: [
      ["cgroup", path],
      ["cgroup-device-program", path, program],
    ],
  })
  Bun.spawnSync(["rmdir", path])
  expect(limited.stdout).toBe("null\ndenied\n")
  const wrong = failureOf(
    await start({
      operations: [
        ["cgroup", path],
        ["cgroup-device-program", path, instruction(0x95, 0, 0, 0)],
      ],
    }),
  )
  expect(wrong.step).toBe("cgroup-device-program")
  expect(existsSync(path)).toBe(false)
})

test("propagation: a slave sees what the host mounts later, a private bind does not", async () => {
  const shared = join(host, "shared")
  mkdirSync(join(shared, "in"), { recursive: true })
  Bun.spawnSync(["mount", "--bind", shared, shared])
  Bun.spawnSync(["mount", "--make-shared", shared])
  try {
    const running = run(launcher.socket, place(), {
      root: [["root-path", root]],
      argv: [
        "sh",
        "-c",
        "touch /slave/ready; while ! [ -e /slave/go ]; do sleep 0.01; done; cat /slave/in/seen; cat /private/in/seen",
      ],
      mounts: [
        ...standardMounts,
        ["bind", shared, "/slave", "rec,rslave", "dir", ""],
        ["bind", shared, "/private", "rec", "dir", ""],
      ],
    })
    for (let tries = 0; !existsSync(join(shared, "ready")) && tries < 500; tries++) await Bun.sleep(5)
    Bun.spawnSync(["mount", "-t", "tmpfs", "late", join(shared, "in")])
    writeFileSync(join(shared, "in/seen"), "seen")
    writeFileSync(join(shared, "go"), "")
    const result = await running
    expect(result.stdout).toBe("seen")
    expect(result.stderr).toContain("/private/in/seen")
  } finally {
    Bun.spawnSync(["umount", join(shared, "in")])
    Bun.spawnSync(["umount", shared])
  }
})
