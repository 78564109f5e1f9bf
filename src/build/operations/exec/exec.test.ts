// Steps on a real kernel: what they see, what they leave, and how they end.
import { afterAll, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { eventually } from "../../../../test/fixtures/engine.ts"
import { type TarSource, writeTar } from "../../../base/tar-writer.ts"
import { BuildFailure } from "../../failure.ts"
import { commitTar, emptyDiffId } from "../commit.ts"
import { emptyTree, type LayersTree } from "../operations.ts"
import { execNode, openStepGround } from "../testing/ground.ts"

const ground = await openStepGround({ networks: true })
afterAll(async () => expect(await ground.end()).toEqual([]), 20_000)

const failing = async (work: Promise<unknown>): Promise<BuildFailure> => {
  try {
    await work
  } catch (error) {
    if (error instanceof BuildFailure) return error
    throw error
  }
  throw new Error("it did not fail")
}

/** A root with a busybox and nothing else. */
const bareRoot = async (more: readonly TarSource[] = []): Promise<LayersTree> => {
  const busybox: TarSource = {
    name: "busybox",
    type: "file",
    mode: 0o755,
    body: readFileSync("/bin/busybox"),
  }
  return commitTar(ground.rooms, writeTar([busybox, ...more]), emptyTree, ground.run())
}

test("a step's files become a layer, its output log events in order", async () => {
  const { tree, events, output } = await ground.sh(
    "echo one; sleep 0.05; echo two >&2; echo text > /made; rm /etc/group",
  )
  expect(output).toBe("one\ntwo\n")
  expect(events.map((event) => event.type === "log" && event.stream)).toEqual([1, 2])
  expect(events.every((event) => event.type === "log" && event.vertex === "sha256:step")).toBe(true)
  expect(tree.layers.length).toBe(ground.base.layers.length + 1)
  const layer = await ground.layer(tree)
  expect([...layer.keys()].toSorted()).toEqual(["etc/", "etc/.wh.group", "made"])
  expect(layer.get("made")?.text).toBe("text\n")
  const next = await ground.sh("cat /made", { root: tree })
  expect(next.output).toBe("text\n")
})

test("the layer's digest is that of its tar", async () => {
  const { tree } = await ground.sh("dd if=/dev/urandom of=/random bs=1M count=3 2>/dev/null")
  const { diffId = "", size = 0 } = tree.layers.at(-1) ?? {}
  const hash = createHash("sha256")
  const { snapshots, content } = ground.rooms
  for await (const chunk of snapshots.tar(tree.chainId)?.open() ?? content.open(diffId)) hash.update(chunk)
  expect(diffId).toBe(`sha256:${hash.digest("hex")}`)
  expect(size).toBeGreaterThanOrEqual(3 << 20)
})

test("nothing written: a layer of nothing for the builder's face, none for the classic one", async () => {
  const built = await ground.sh("true")
  expect(built.tree.layers.at(-1)?.diffId).toBe(emptyDiffId)
  const classic = await ground.sh("true", { request: { face: "classic" } })
  expect(classic.tree).toEqual(ground.base)
})

test("SOURCE_DATE_EPOCH: the same files give the same bytes on another day", async () => {
  const script = "mkdir /d; echo x > /d/f; ln -s f /d/l; rm /etc/group; touch -d @1000 /d/old"
  const run = { epoch: 1_700_000_000 }
  const first = await ground.sh(script, { run })
  await Bun.sleep(1100)
  const second = await ground.sh(script, { run })
  expect(second.tree).toEqual(first.tree)
  const layer = await ground.layer(first.tree)
  expect(layer.get("d/f")?.entry.mtime).toBe(1_700_000_000)
  expect(layer.get("d/old")?.entry.mtime).toBe(1000)
})

test("no mount point is left in a root that had none", async () => {
  const root = await bareRoot()
  const node = execNode({ argv: ["/busybox", "touch", "/made"], network: "default" })
  const tree = await ground.steps.exec(node, root, new Map(), ground.run())
  expect(await ground.names(tree)).toEqual(["made"])
  // Nor where /etc leads elsewhere.
  const linked = await bareRoot([
    { name: "etc", type: "symlink", linkName: "config" },
    { name: "config/", type: "directory" },
  ])
  expect(await ground.names(await ground.steps.exec(node, linked, new Map(), ground.run()))).toEqual(["made"])
})

test("user, directory, environment, name of the machine", async () => {
  const { output } = await ground.sh(
    'id -un; pwd; echo "$A"; hostname; echo "$HOME"; grep -c buildkitsandbox /etc/hosts',
    {
      node: {
        user: "nobody",
        workingDirectory: "/var/tmp",
        env: ["PATH=/bin:/usr/bin", "A=b c"],
        network: "default",
      },
    },
  )
  expect(output.split("\n").slice(0, 4)).toEqual(["nobody", "/var/tmp", "b c", "buildkitsandbox"])
  expect(output.trim().split("\n").at(-1)).toBe("1")
})

test("a directory that is missing is made, and is the step's", async () => {
  const { tree, output } = await ground.sh("pwd; touch here", { node: { workingDirectory: "/new/place" } })
  expect(output).toBe("/new/place\n")
  expect(await ground.names(tree)).toEqual(["new/", "new/place/", "new/place/here"])
})

test("networks: the bridge with an address and names, none, and the host's with the entitlement only", async () => {
  const links = "ls /sys/class/net; ip -o -4 address show eth0 2>/dev/null | wc -l"
  const bridge = await ground.sh(`${links}; cat /etc/hosts`, {
    node: { network: "default", extraHosts: ["db:10.1.2.3"] },
    request: { extraHosts: ["web:10.1.2.4"] },
  })
  expect(bridge.output).toStartWith("eth0\nlo\n1\n")
  expect(bridge.output).toContain("10.1.2.3\tdb")
  expect(bridge.output).toContain("10.1.2.4\tweb")
  expect((await ground.sh(links, { node: { network: "none" } })).output).toBe("lo\n0\n")
  const host = { node: { network: "host" as const } }
  await expect(ground.sh("true", host)).rejects.toThrow("network.host is not allowed")
  const allowed = await ground.sh("readlink /proc/self/ns/net", {
    ...host,
    request: { entitlements: ["network.host"] },
  })
  expect(allowed.output.trim()).toBe((await Bun.$`readlink /proc/self/ns/net`.text()).trim())
  await expect(
    ground.sh("true", { node: { network: "default" }, request: { network: "nowhere" } }),
  ).rejects.toThrow("network nowhere not found")
})

test("the managed files cannot be changed, and are no part of the layer", async () => {
  const { tree, output } = await ground.sh("echo x >> /etc/hosts || echo refused; touch /made", {
    node: { network: "default" },
  })
  expect(output).toContain("refused")
  expect(await ground.names(tree)).toEqual(["made"])
})

test("rights are those of containers; insecure needs its entitlement", async () => {
  const script = "grep CapEff /proc/self/status; mount -t tmpfs none /tmp 2>/dev/null && echo mounted; true"
  const plain = await ground.sh(script)
  expect(plain.output).toBe("CapEff:\t00000000a80425fb\n")
  const insecure = { node: { security: "insecure" as const } }
  await expect(ground.sh(script, insecure)).rejects.toThrow("security.insecure is not allowed")
  const allowed = await ground.sh(script, { ...insecure, request: { entitlements: ["security.insecure"] } })
  expect(allowed.output).toContain("mounted")
})

test("a failing command: BuildKit's words, its exit code and its output", async () => {
  const node = { argv: ["/bin/sh", "-c", "echo why >&2; exit 3"], commandText: "/bin/sh -c make" }
  const events: string[] = []
  const run = { report: (event: { type: string }) => events.push(event.type) }
  const error = await failing(
    ground.steps.exec(
      execNode({ ...node, place: { first: 4, last: 5 } }),
      ground.base,
      new Map(),
      ground.run({}, run),
    ),
  )
  expect(error.message).toBe('process "/bin/sh -c make" did not complete successfully: exit code: 3')
  expect(error.detail).toMatchObject({ exitCode: 3, place: { first: 4, last: 5 }, vertex: "sha256:step" })
  expect(events).toEqual(["log"])
})

test.each([
  [["/nowhere"], 127, 'exec: "/nowhere": stat /nowhere: no such file or directory'],
  [["nowhere"], 127, 'exec: "nowhere": executable file not found in $PATH'],
  [["/etc/passwd"], 126, 'exec: "/etc/passwd": permission denied (the file is not executable (mode 0644))'],
] as const)("a command that cannot be started: %j", async (argv, code, words) => {
  const error = await failing(ground.steps.exec(execNode({ argv }), ground.base, new Map(), ground.run()))
  expect(error.message).toBe(`process "${argv[0]}" did not complete successfully: ${words}`)
  expect(error.detail.exitCode).toBe(code)
})

test("an unknown user is told", async () => {
  const node = { user: "who" }
  await expect(ground.sh("true", { node })).rejects.toThrow(/successfully: unable to find user who/)
  const classic = ground.sh("true", { node, request: { face: "classic" } })
  await expect(classic).rejects.toThrow(/^unable to find user who: no matching entries in passwd file$/)
})

test("a command of another machine's kind: what to do", async () => {
  const elf = Buffer.alloc(64)
  elf.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  // e_type EXEC, e_machine: one that nobody emulates.
  elf.writeUInt16LE(2, 16)
  elf.writeUInt16LE(0xfeed, 18)
  const root = await bareRoot([{ name: "foreign", type: "file", mode: 0o755, body: elf }])
  const node = execNode({ argv: ["/foreign"], platform: { os: "linux", architecture: "s390x", variant: "" } })
  const error = await failing(ground.steps.exec(node, root, new Map(), ground.run()))
  expect(error.message).toContain("exec format error")
  expect(error.message).toContain("it is for linux/s390x and this machine is linux/")
  expect(error.message).toContain("qemu-user-static")
})

test("a step that fills memory is killed at its limit, and says so", async () => {
  const error = await failing(
    ground.sh("tail -c 1000000000 /dev/zero > /dev/null", {
      request: { memory: 24 << 20, memorySwap: 24 << 20 },
      node: { argv: ["/bin/busybox", "tail", "/dev/zero"], commandText: "tail /dev/zero" },
    }),
  )
  expect(error.message).toBe(
    'process "tail /dev/zero" did not complete successfully: exit code: 137: cannot allocate memory: it was killed at its limit of 25165824 bytes',
  )
})

test("a step that a signal ends says which", async () => {
  const error = await failing(ground.sh("sh -c 'kill -SEGV $$'; exit $?", { node: { commandText: "x" } }))
  expect(error.message).toStartWith('process "x" did not complete successfully: exit code: 139')
})

test("limits: open files, shared memory", async () => {
  const { output } = await ground.sh("ulimit -n; df -k /dev/shm | tail -1 | awk '{print $2}'", {
    request: { ulimits: [{ name: "nofile", soft: 100, hard: 200 }], shmSize: 3 << 20 },
  })
  expect(output).toBe("100\n3072\n")
})

test("cancelled: killed at once, nothing left, and told as BuildKit tells it", async () => {
  const controller = new AbortController()
  const seen: string[] = []
  const work = ground.sh("trap '' TERM INT; touch /x; sleep 1000 & echo begun; wait; sleep 1000", {
    run: {
      signal: controller.signal,
      report: (event) => event.type === "log" && seen.push(Buffer.from(event.bytes).toString()),
    },
    node: { network: "default" },
  })
  work.catch(() => {})
  await eventually("it began", () => seen.join("").includes("begun"))
  const at = performance.now()
  controller.abort()
  await expect(work).rejects.toThrow("context canceled")
  expect(performance.now() - at).toBeLessThan(5000)
  await ground.steps.close()
  expect(ground.leftovers()).toEqual([])
})

test("closing waits for a step that is being ended", async () => {
  const controller = new AbortController()
  let begun = false
  const run = { signal: controller.signal, report: () => (begun = true) }
  const work = ground.sh("echo begun; sleep 1000", { run })
  work.catch(() => {})
  await eventually("it began", () => begun)
  controller.abort()
  await ground.steps.close()
  expect(ground.leftovers()).toEqual([])
  await expect(work).rejects.toThrow("context canceled")
})

test("cancelled before it began: nothing is made", async () => {
  const run = { signal: AbortSignal.abort() }
  await expect(ground.sh("true", { run })).rejects.toThrow("context canceled")
})

test("output flows: 200,000 lines arrive whole and in order", async () => {
  let next = 1
  let rest = ""
  const heap = process.memoryUsage().rss
  await ground.sh("seq 1 200000", {
    run: {
      report(event) {
        if (event.type !== "log") return
        const lines = (rest + Buffer.from(event.bytes).toString()).split("\n")
        rest = lines.pop() ?? ""
        for (const line of lines) if (line === String(next)) next++
      },
    },
  })
  expect(next).toBe(200_001)
  expect(process.memoryUsage().rss - heap).toBeLessThan(100 << 20)
})

test("steps run at once, and each has its own files", async () => {
  const ran = await Promise.all(
    [1, 2, 3, 4].map((number) =>
      ground.sh(`sleep 0.3; echo ${number} > /own`, { node: { network: "default" } }),
    ),
  )
  const texts = await Promise.all(ran.map(async ({ tree }) => (await ground.layer(tree)).get("own")?.text))
  expect(texts).toEqual(["1\n", "2\n", "3\n", "4\n"])
})

test("steps that run are gone from the machine once they ended", async () => {
  await ground.sh("true", { node: { network: "default" } })
  await ground.steps.close()
  expect(ground.leftovers()).toEqual([])
  expect(existsSync(`${ground.rooms.root}/layers`)).toBe(true)
  expect(await Bun.$`ls -A ${ground.rooms.root}/layers`.text()).toBe("")
})
