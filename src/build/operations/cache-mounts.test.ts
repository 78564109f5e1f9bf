// Cache mounts on a real kernel: what is kept, who shares it, who waits, and how it goes.
import { afterAll, expect, test } from "bun:test"
import { eventually } from "../../../test/fixtures/engine.ts"
import { writeTar } from "../../base/tar-writer.ts"
import type { ExecMount } from "../graph/graph.ts"
import type { Tree } from "../solver/solver.ts"
import { commitTar } from "./commit.ts"
import { emptyTree } from "./operations.ts"
import { execNode, openStepGround } from "./testing/ground.ts"

const ground = await openStepGround()
afterAll(async () => expect(await ground.end()).toEqual([]), 20_000)

const tree = await commitTar(
  ground.rooms,
  writeTar([
    { name: "dir/", type: "directory", mode: 0o750 },
    { name: "dir/file", type: "file", body: Buffer.from("from the tree\n") },
  ]),
  emptyTree,
  ground.run(),
)
const first: ReadonlyMap<number, Tree> = new Map([[0, tree]])
const node = execNode()

type Cache = Extract<ExecMount, { type: "cache" }>
const cache = (changes: Partial<Cache> = {}): Cache => ({
  type: "cache",
  id: "test",
  target: "/var/cache/test",
  sharing: "shared",
  readOnly: false,
  mode: 0o755,
  uid: 0,
  gid: 0,
  source: "",
  ...changes,
})

test("cache: kept between steps, no part of layers, and told of", async () => {
  const mounts = [cache({ id: "kept" })]
  const { tree: result } = await ground.sh("echo 1 >> /var/cache/test/f; touch /made", { node: { mounts } })
  expect(await ground.names(result)).toEqual(["made"])
  const { output } = await ground.sh("echo 2 >> /var/cache/test/f; cat /var/cache/test/f", {
    node: { mounts },
  })
  expect(output).toBe("1\n2\n")
  expect(
    (await ground.sh("ls -A /var/cache/test | wc -l", { node: { mounts: [cache({ id: "other" })] } })).output,
  ).toBe("0\n")
  await ground.steps.close()
  const listed = await ground.steps.cacheMounts()
  expect(listed.length).toBeGreaterThanOrEqual(2)
  expect(listed.every(({ inUse, bytes }) => !inUse && bytes > 0)).toBe(true)
  // A restarted engine finds it again.
  const again = ground.reopen()
  await again.recover()
  expect(await again.cacheMounts()).toEqual(listed)
})

test("cache: mode and owner; a read-only one; first contents from a tree", async () => {
  const owned = await ground.sh("stat -c '%a %u %g' /var/cache/test", {
    node: { mounts: [cache({ id: "owned", mode: 0o1770, uid: 12, gid: 34 })] },
  })
  expect(owned.output).toBe("1770 12 34\n")
  const readOnly = await ground.sh("touch /var/cache/test/x || echo refused", {
    node: { mounts: [cache({ id: "ro", readOnly: true })] },
  })
  expect(readOnly.output).toContain("refused")
  const filled = { mounts: [cache({ id: "filled", input: node, source: "/dir" })] }
  const one = await ground.sh(
    "cat /var/cache/test/file; stat -c '%a %u' /var/cache/test; echo more > /var/cache/test/more",
    {
      node: filled,
      trees: first,
    },
  )
  expect(one.output).toBe("from the tree\n750 0\n")
  expect((await ground.sh("ls /var/cache/test", { node: filled, trees: first })).output).toBe("file\nmore\n")
})

test("cache: shared is shared at once, private is one's own, locked waits", async () => {
  const both = (sharing: Cache["sharing"]) => {
    const mounts = [cache({ id: `at-once-${sharing}`, sharing })]
    const script =
      "ls /var/cache/test | wc -l; touch /var/cache/test/$N; sleep 0.4; ls /var/cache/test | wc -l"
    return Promise.all([1, 2].map((number) => ground.sh(`N=${number}; ${script}`, { node: { mounts } })))
  }
  const outputs = async (sharing: Cache["sharing"]) =>
    (await both(sharing)).map(({ output }) => output).toSorted()
  expect((await outputs("shared")).at(-1)).toEndWith("2\n")
  expect(await outputs("private")).toEqual(["0\n1\n", "0\n1\n"])
  expect(await outputs("locked")).toEqual(["0\n1\n", "1\n2\n"])
  // A private one is used again when it is free.
  const again = await ground.sh("ls /var/cache/test | wc -l", {
    node: { mounts: [cache({ id: "at-once-private", sharing: "private" })] },
  })
  expect(again.output).toBe("1\n")
})

test("cache: who waits for a lock can be cancelled; what is in use cannot be removed", async () => {
  const mounts = [cache({ id: "lock", sharing: "locked" })]
  let begun = false
  const holder = new AbortController()
  const holding = ground.sh("echo begun; sleep 100", {
    node: { mounts },
    run: { signal: holder.signal, report: () => (begun = true) },
  })
  holding.catch(() => {})
  await eventually("it holds the mount", () => begun)
  const waiter = new AbortController()
  const waiting = ground.sh("true", { node: { mounts }, run: { signal: waiter.signal } })
  waiting.catch(() => {})
  const held = (await ground.steps.cacheMounts()).find(({ inUse }) => inUse)
  await expect(ground.steps.removeCacheMount(held?.id ?? "")).rejects.toThrow("in use")
  waiter.abort()
  await expect(waiting).rejects.toThrow("context canceled")
  holder.abort()
  await expect(holding).rejects.toThrow("context canceled")
  await ground.steps.removeCacheMount(held?.id ?? "")
  expect((await ground.steps.cacheMounts()).some(({ id }) => id === held?.id)).toBe(false)
  await expect(ground.steps.removeCacheMount("none")).rejects.toThrow("No such cache mount")
})

test("cache: steps that lock several never wait for each other; one step may have one twice", async () => {
  const lock = (id: string, target: string) => cache({ id, target, sharing: "locked" })
  const one = { mounts: [lock("a", "/x"), lock("b", "/y")] }
  const other = { mounts: [lock("b", "/x"), lock("a", "/y")] }
  await Promise.all(
    [one, other, one, other].map((node, number) => ground.sh(`: ${number}; sleep 0.05`, { node })),
  )
  const twice = await ground.sh("touch /x/f; ls /y", { node: { mounts: [lock("c", "/x"), lock("c", "/y")] } })
  expect(twice.output).toBe("f\n")
})

test("cache: a source without a tree is a path in the cache mount itself", async () => {
  const id = "within"
  await ground.sh("mkdir -p /var/cache/test/a/b; echo deep > /var/cache/test/a/b/f", {
    node: { mounts: [cache({ id })] },
  })
  const deep = { node: { mounts: [cache({ id, source: "/a/b" })] } }
  expect((await ground.sh("cat /var/cache/test/f", deep)).output).toBe("deep\n")
  await expect(ground.sh("true", { node: { mounts: [cache({ id, source: "none" })] } })).rejects.toThrow(
    /no such file/,
  )
})
