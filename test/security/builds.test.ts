// Steps of builds that attack their host: by their mounts, their directory, their names; and secrets that must be nowhere after.
import { afterAll, expect, test } from "bun:test"
import {
  type Dirent,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { type TarSource, writeTar } from "../../src/base/tar-writer.ts"
import type { ExecMount } from "../../src/build/graph/graph.ts"
import { commitTar } from "../../src/build/operations/commit.ts"
import { emptyTree, type LayersTree } from "../../src/build/operations/operations.ts"
import { execNode, openStepGround } from "../../src/build/operations/testing/ground.ts"
import { compile } from "../fixtures/c-program.ts"
import { eventually } from "../fixtures/engine.ts"
import { layBait } from "./bait.ts"

const ground = await openStepGround()
afterAll(async () => expect(await ground.end()).toEqual([]), 20_000)
const work = join(ground.directory, "attack")
mkdirSync(work)
const programs = compile(join(work, "programs"), join(import.meta.dir, "exchange.c"))
const { bait, untouched } = layBait(work, "kept", "the host's own")

const treeOf = (entries: readonly TarSource[], over: LayersTree = emptyTree): Promise<LayersTree> =>
  commitTar(ground.rooms, writeTar(entries), over, ground.run())
const link = (name: string, linkName: string): TarSource => ({ name, type: "symlink", linkName })
const node = execNode()
type Cache = Extract<ExecMount, { type: "cache" }>
const cache = (changes: Partial<Cache> = {}): Cache => ({
  ...{ type: "cache", id: "attack", target: "/c", sharing: "shared", readOnly: false },
  ...{ mode: 0o777, uid: 0, gid: 0, source: "" },
  ...changes,
})

test("a cache mount's subpath exchanged by a step beside is never anything of the host's (CVE-2024-23651)", async () => {
  const tools = await treeOf([
    { name: "exchange", type: "file", mode: 0o755, body: readFileSync(join(programs, "exchange")) },
  ])
  const controller = new AbortController()
  let begun = false
  const attacker = ground.sh(
    `mkdir -p /c/real; echo own > /c/real/kept; ln -s ${bait} /c/link; echo begun; exec /t/exchange /c/real /c/link`,
    {
      node: { mounts: [cache(), { type: "bind", input: node, source: "/", target: "/t", readOnly: true }] },
      trees: new Map([[1, tools]]),
      run: { signal: controller.signal, report: () => (begun = true) },
    },
  )
  attacker.catch(() => {})
  await eventually("the attack runs", () => begun)
  const seen = new Set<string>()
  for (let turn = 0; turn < 60; turn++) {
    const victim = ground.sh("cat /m/kept; echo changed > /m/kept", {
      node: { mounts: [cache({ target: "/m", source: "real" })] },
    })
    seen.add(
      await victim.then(
        ({ output }) => output.trim(),
        () => "refused",
      ),
    )
  }
  controller.abort()
  await expect(attacker).rejects.toThrow("context canceled")
  untouched()
  expect([...seen].filter((text) => !/^(own|changed|refused)$/.test(text))).toEqual([])
}, 60_000)

test("mount points that a step moves, or that lead to the host's paths, are no reason to remove anything there (CVE-2024-23652)", async () => {
  const empty = join(bait, "..", "empty")
  writeFileSync(empty, "")
  const root = await treeOf([link("linked", work)], ground.base)
  for (const target of ["/linked/empty", "/linked/bait/kept", "/moved/way/stub"]) {
    const mounts: ExecMount[] = [{ type: "bind", input: "scratch", source: "/", target, readOnly: false }]
    await ground
      .sh(
        `mv /moved /elsewhere 2>/dev/null; rm -rf /moved/way 2>/dev/null; ln -s ${work} /moved 2>/dev/null; true`,
        {
          root,
          node: { mounts },
        },
      )
      .catch(() => undefined)
    expect(statSync(empty).size).toBe(0)
    untouched()
  }
  expect(readdirSync(work).toSorted()).toEqual(["bait", "empty", "programs"])
})

test("a bind's source that is a link leads into its tree, not to the host (CVE-2024-1753)", async () => {
  const tree = await treeOf([
    link("root", "/"),
    link("up", "../../../../../../../../.."),
    link("bait", bait),
    link("magic", "/proc/self/root"),
    { name: "mine", type: "file", body: Buffer.from("mine") },
  ])
  for (const [source, expected] of [
    ["root", "bait\nmagic\nmine\nroot\nup\n"],
    ["up", "bait\nmagic\nmine\nroot\nup\n"],
    ["up/../../mine", "/m\n"],
    ["bait", "refused"],
    ["bait/kept", "refused"],
    ["magic", "refused"],
    ["magic/etc", "refused"],
  ] as const) {
    const mounts: ExecMount[] = [{ type: "bind", input: node, source, target: "/m", readOnly: false }]
    const output = await ground.sh("ls /m", { node: { mounts }, trees: new Map([[0, tree]]) }).then(
      ({ output: text }) => text,
      () => "refused",
    )
    expect([source, output]).toEqual([source, expected])
  }
  untouched()
})

test("nothing in a mount's words becomes an option: propagation, flags, paths (CVE-2024-9407)", async () => {
  const strange = ["a,rshared", "a\nb", "$(id)", "-o dev", "../../../../tmp", "é".repeat(300), "\u0000"]
  for (const id of strange) {
    await ground
      .sh("true", { node: { mounts: [cache({ id, target: "/c,rshared,dev" })] } })
      .catch(() => undefined)
  }
  const caches = readdirSync(join(ground.rooms.root, "cache-mounts"))
  expect(caches.filter((name) => !/^[0-9a-f]{32}(-\d+)?$/.test(name))).toEqual([])
  const { output } = await ground.sh(
    "grep ' /c,rshared' /proc/self/mountinfo | grep -c 'shared:\\|master:'; true",
    {
      node: { mounts: [cache({ target: "/c,rshared,dev" })] },
    },
  )
  expect(output).toBe("0\n")
  for (const target of ["/a\u0000b", "/proc", "/proc/self", "/proc/sys/kernel", "/../.."])
    await expect(ground.sh("true", { node: { mounts: [cache({ target })] } })).rejects.toThrow()
})

test("a working directory in /proc/self/fd, or a link to the host's path, is in the root or nothing (CVE-2024-21626)", async () => {
  const outside: string[] = []
  for (let number = 3; number < 20; number++)
    for (const rest of ["", "/../..", "/../../../../.."]) {
      const options = { node: { workingDirectory: `/proc/self/fd/${number}${rest}` } }
      const found = await ground
        .sh(`cat ../..${work}/bait/kept ../../../../..${work}/bait/kept 2>/dev/null; true`, options)
        .then(
          ({ output }) => output,
          () => "",
        )
      if (found !== "") outside.push(`${number}${rest}`)
    }
  expect(outside).toEqual([])
  const root = await treeOf([link("linked", bait)], ground.base)
  await ground.sh("touch here", { root, node: { workingDirectory: "/linked" } }).catch(() => undefined)
  untouched()
}, 60_000)

test("a step has no descriptors but its own three", async () => {
  const { output } = await ground.sh("ls /proc/self/fd | tr '\\n' ' '")
  // The fourth is that of ls itself.
  expect(output).toBe("0 1 2 3 ")
})

test("insecure steps pass one gate: no other entitlement opens it (CVE-2024-23653)", async () => {
  for (const entitlements of [
    [],
    ["network.host"],
    ["security"],
    ["SECURITY.INSECURE"],
    ["security.insecure "],
  ])
    await expect(
      ground.sh("true", { node: { security: "insecure" }, request: { entitlements } }),
    ).rejects.toMatchObject({ kind: "forbidden" })
  const { output } = await ground.sh(
    "cat /proc/self/status | grep -c 'Seccomp:.2'; mknod /sda b 8 0 && head -c 1 /sda; true",
    {
      request: { entitlements: ["security.insecure", "network.host"] },
    },
  )
  expect(output).toContain("1\n")
  expect(output).toContain("Operation not permitted")
})

test("hosts that are asked for cannot write other lines", async () => {
  for (const host of ["a:1.2.3.4\n6.6.6.6 evil", "a b:1.2.3.4", ":1.2.3.4", "a:"]) {
    const answer = await ground.sh("grep -c evil /etc/hosts; true", { request: { extraHosts: [host] } }).then(
      ({ output }) => output,
      () => "refused",
    )
    expect(answer).toMatch(/^(0\n|refused)$/)
  }
})

test("a cache mount full of links is measured and removed without following one", async () => {
  const id = "links"
  await ground.sh(
    `ln -s ${bait} /c/bait; ln -s / /c/root; mkdir -p /c/d/e; ln -s ${bait}/kept /c/d/e/kept; mkfifo /c/fifo`,
    {
      node: { mounts: [cache({ id })] },
    },
  )
  await ground.steps.close()
  for (const { id: found } of await ground.steps.cacheMounts()) await ground.steps.removeCacheMount(found)
  await ground.steps.close()
  expect(readdirSync(join(ground.rooms.root, "cache-mounts"))).toEqual([])
  untouched()
})

/** Regular files beneath a directory; what goes away meanwhile is left out. */
const filesBeneath = (directory: string): string[] => {
  const found: string[] = []
  let entries: Dirent[] = []
  try {
    entries = readdirSync(directory, { withFileTypes: true })
  } catch (error) {
    // The overlay's own working directory lets nobody in and holds nothing.
    if (!/ENOENT|EACCES/.test(String(error))) throw error
  }
  for (const entry of entries) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) found.push(...filesBeneath(path))
    else if (entry.isFile()) found.push(path)
  }
  return found
}

/** Files beneath a directory in which a text stands. */
const filesWith = (directory: string, text: string): string[] => {
  const found: string[] = []
  for (const path of filesBeneath(directory))
    if (existsSync(path) && readFileSync(path).includes(text)) found.push(path)
  return found
}

test("secrets are in no file: while the step runs, after it, and when it fails", async () => {
  const word = `s3cr${"et"}-${crypto.randomUUID()}`
  const secrets = () => Promise.resolve(Buffer.from(word))
  const file: ExecMount = {
    ...{ type: "secret", id: "s", target: "/run/secrets/s", required: true },
    ...{ mode: 0o400, uid: 0, gid: 0 },
  }
  const env: ExecMount = { ...file, target: undefined, env: "TOKEN" }
  const mounts = [file, env, cache({ id: "beside" }), { ...file, target: "/c/within" }]
  let during: string[] | undefined
  const { tree } = await ground.sh('test -s /run/secrets/s && test -n "$TOKEN" && echo ready && sleep 0.7', {
    node: { mounts },
    request: { secrets },
    run: { report: () => (during = filesWith(ground.directory, word)) },
  })
  expect(during).toEqual([])
  // The search does find what is there.
  expect(filesWith(ground.directory, "the host's own")).toEqual([join(bait, "kept")])
  const failed = await ground
    .sh("cat /run/secrets/s > /dev/null; exit 1", { node: { mounts }, request: { secrets } })
    .catch((error: unknown) => JSON.stringify([String(error), error]))
  expect(failed).toContain("exit code: 1")
  expect(failed).not.toContain(word)
  await ground.steps.close()
  expect(filesWith(ground.directory, word)).toEqual([])
  expect(await ground.names(tree)).toEqual([])
  expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain("secrets")
}, 30_000)
