// What every Snapshotter must do, in one call: give it a maker of fresh ones.
import { expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { readTar } from "../base/tar-reader.ts"
import { type TarSource, writeTar } from "../base/tar-writer.ts"
import type { Kernel, Plan } from "../kernel/kernel.ts"
import type { RootMount } from "../kernel/mount.ts"
import { extendChain } from "../oci/chain-id.ts"
import type { Snapshotter } from "./snapshotter.ts"

/** A fresh snapshotter over a real kernel. `reopen` is what a new process would see of the same root and state. */
export interface SnapshotterUnderTest {
  readonly snapshots: Snapshotter
  readonly kernel: Kernel
  reopen(): Promise<Snapshotter>
  close(): Promise<void>
}

const gather = async (chunks: AsyncIterable<Uint8Array>): Promise<Buffer> => {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(chunk)
  return Buffer.concat(parts)
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

interface Layer {
  readonly diffId: string
  readonly tar: Uint8Array
}

const layerOf = async (entries: readonly TarSource[]): Promise<Layer> => {
  const tar = await gather(writeTar(entries))
  return { tar, diffId: `sha256:${createHash("sha256").update(tar).digest("hex")}` }
}
const file = (name: string, text: string): TarSource => ({ name, type: "file", body: Buffer.from(text) })

/** The root operation of a mount, for looking into it. */
export const rootOperation = (mount: RootMount): Plan[number] =>
  mount.type === "directory"
    ? ["root-path", mount.path]
    : ["root-overlay", mount.upper ?? "", mount.work ?? "", mount.options.join(","), ...mount.lower]

/** Names and contents of everything in a mount, sorted by name. */
const treeOf = async (kernel: Kernel, mount: RootMount): Promise<Record<string, string>> => {
  const tree: Record<string, string> = {}
  const plan: Plan = [["pack"], rootOperation(mount), ["path", "/"], ["option", "contents", "yes"]]
  for await (const entry of readTar(kernel.receive(plan)))
    tree[entry.name.replace(/\/$/, "")] =
      entry.type === "directory"
        ? "directory"
        : entry.type === "file"
          ? (await gather(entry.body)).toString()
          : `${entry.type} ${entry.linkName}`
  return tree
}

/** Writes into an active snapshot as a container would: through its mount. */
const write = (kernel: Kernel, mount: RootMount, entries: readonly TarSource[]) =>
  kernel.send(
    [["unpack"], rootOperation(mount), ["at", "/"], ["option", "whiteouts", "apply"]],
    writeTar(entries),
  )

/** Registers the tests. */
export const testSnapshotter = (name: string, make: () => Promise<SnapshotterUnderTest>): void => {
  const each = (what: string, work: (subject: SnapshotterUnderTest) => Promise<void>) =>
    test(`${name}: ${what}`, async () => {
      const subject = await make()
      try {
        await work(subject)
        await subject.snapshots.settle()
      } finally {
        await subject.close()
      }
    }, 20_000)
  const commit = async (snapshots: Snapshotter, layers: readonly Layer[]): Promise<string> => {
    let parent = ""
    for (const { diffId, tar } of layers) {
      const chainId = extendChain(parent, diffId)
      await snapshots.commitLayer({ chainId, parent, tar: once(tar) })
      parent = chainId
    }
    return parent
  }
  const base = () =>
    layerOf([
      { name: "etc/", type: "directory" },
      file("etc/a", "one"),
      file("etc/b", "two"),
      { name: "old/", type: "directory" },
      file("old/x", "x"),
    ])

  each(
    "stacks layers; whiteouts and opaque directories hide what is below",
    async ({ snapshots, kernel }) => {
      const upper = await layerOf([
        { name: "etc/", type: "directory" },
        file("etc/.wh.a", ""),
        file("etc/b", "changed"),
        { name: "old/", type: "directory" },
        file("old/.wh..wh..opq", ""),
        file("old/y", "y"),
      ])
      const chainId = await commit(snapshots, [await base(), upper])
      expect(snapshots.has(chainId)).toBe(true)
      expect(await treeOf(kernel, snapshots.view(chainId))).toEqual({
        etc: "directory",
        "etc/b": "changed",
        old: "directory",
        "old/y": "y",
      })
    },
  )

  each(
    "a lazy commit is there at once, and on the disk when persisted",
    async ({ snapshots, kernel, reopen }) => {
      const { diffId, tar } = await base()
      await snapshots.commitLayer({ chainId: diffId, parent: "", tar: once(tar), lazy: true })
      expect(await treeOf(kernel, snapshots.view(diffId))).toHaveProperty("etc/a", "one")
      await snapshots.persist(diffId)
      await snapshots.persist("")
      await snapshots.persist("sha256:unknown")
      // Again, and by somebody who wants it on the disk.
      await snapshots.commitLayer({ chainId: diffId, parent: "", tar: once(tar) })
      expect((await reopen()).has(diffId)).toBe(true)
    },
  )

  each("times of a diff are no later than asked", async ({ snapshots, kernel }) => {
    const mount = await snapshots.prepare("dated", "", { ephemeral: true })
    await write(kernel, mount, [
      { ...file("now", ""), mtime: 9000 },
      { ...file("old", ""), mtime: 1000 },
    ])
    const times: Record<string, number> = {}
    for await (const entry of readTar(snapshots.diff("dated", { latest: 5000 })))
      times[entry.name] = entry.mtime
    expect(times).toEqual({ now: 5000, old: 1000 })
    expect(await gather(snapshots.diff("dated"))).not.toEqual(
      await gather(snapshots.diff("dated", { latest: 1 })),
    )
  })

  each("a view of one layer and of none", async ({ snapshots, kernel }) => {
    const chainId = await commit(snapshots, [await layerOf([file("f", "f")])])
    expect(await treeOf(kernel, snapshots.view(chainId))).toEqual({ f: "f" })
    expect(await treeOf(kernel, snapshots.view(""))).toEqual({})
  })

  each("committing again takes nothing from the stream", async ({ snapshots }) => {
    const layer = await base()
    const chainId = await commit(snapshots, [layer])
    let read = false
    async function* watched() {
      read = true
      yield layer.tar
    }
    const sizes = await Promise.all([
      snapshots.commitLayer({ chainId, parent: "", tar: watched() }),
      snapshots.commitLayer({ chainId, parent: "", tar: watched() }),
    ])
    expect(read).toBe(false)
    expect(sizes[0]?.size).toBeGreaterThan(0)
  })

  each("two commits of one layer at once make one", async ({ snapshots, kernel }) => {
    const layer = await base()
    const request = () => ({ chainId: layer.diffId, parent: "", tar: once(layer.tar) })
    await Promise.all([snapshots.commitLayer(request()), snapshots.commitLayer(request())])
    expect(Object.keys(await treeOf(kernel, snapshots.view(layer.diffId)))).toContain("etc/a")
  })

  each("a broken stream leaves nothing and can be tried again", async ({ snapshots }) => {
    const layer = await base()
    async function* broken() {
      yield layer.tar.subarray(0, 1024)
      throw new Error("the sender went away")
    }
    const failed = snapshots.commitLayer({ chainId: layer.diffId, parent: "", tar: broken() })
    await expect(failed).rejects.toThrow("the sender went away")
    expect(snapshots.has(layer.diffId)).toBe(false)
    await commit(snapshots, [layer])
    expect(snapshots.has(layer.diffId)).toBe(true)
  })

  each("what is no tar is refused as invalid", async ({ snapshots }) => {
    const tar = once(Buffer.alloc(4096, 0x41))
    const failed = snapshots.commitLayer({ chainId: `sha256:${"a".repeat(64)}`, parent: "", tar })
    await expect(failed).rejects.toMatchObject({ kind: "invalid" })
  })

  each("an unknown parent is not found", async ({ snapshots }) => {
    const unknown = `sha256:${"b".repeat(64)}`
    const layer = await base()
    const failed = snapshots.commitLayer({ chainId: layer.diffId, parent: unknown, tar: once(layer.tar) })
    await expect(failed).rejects.toMatchObject({ kind: "not-found" })
    await expect(snapshots.prepare("k", unknown, { ephemeral: false })).rejects.toMatchObject({
      kind: "not-found",
    })
  })

  for (const ephemeral of [false, true])
    each(
      `writes go to the active snapshot alone (ephemeral: ${ephemeral})`,
      async ({ snapshots, kernel }) => {
        const chainId = await commit(snapshots, [await base()])
        const mount = await snapshots.prepare("one", chainId, { ephemeral })
        await snapshots.prepare("two", chainId, { ephemeral })
        await write(kernel, mount, [file("etc/a", "mine"), file("new", "n")])
        expect(await treeOf(kernel, snapshots.mounts("one"))).toMatchObject({ "etc/a": "mine", new: "n" })
        expect(await treeOf(kernel, snapshots.mounts("two"))).toMatchObject({ "etc/a": "one" })
        expect(await treeOf(kernel, snapshots.view(chainId))).toMatchObject({ "etc/a": "one" })
        expect((await snapshots.usage("one")).bytes).toBeGreaterThan((await snapshots.usage("two")).bytes)
        expect((await snapshots.usage(chainId)).inodes).toBeGreaterThan(3)
      },
    )

  each("a diff turned into a layer gives the same tree", async ({ snapshots, kernel }) => {
    const chainId = await commit(snapshots, [await base()])
    const mount = await snapshots.prepare("one", chainId, { ephemeral: false })
    await write(kernel, mount, [
      { name: "etc/", type: "directory" },
      file("etc/.wh.a", ""),
      file("new", "n"),
      { name: "old/", type: "directory" },
      file("old/.wh..wh..opq", ""),
    ])
    const tar = await gather(snapshots.diff("one"))
    const diffId = `sha256:${createHash("sha256").update(tar).digest("hex")}`
    const committed = extendChain(chainId, diffId)
    await snapshots.commitLayer({ chainId: committed, parent: chainId, tar: once(tar) })
    const tree = await treeOf(kernel, snapshots.view(committed))
    expect(tree).toEqual(await treeOf(kernel, snapshots.mounts("one")))
    expect(tree["etc/a"]).toBeUndefined()
    expect(tree.new).toBe("n")
    expect(tree["old/x"]).toBeUndefined()
  })

  each("a key is prepared once and found until it is removed", async ({ snapshots }) => {
    await snapshots.prepare("one", "", { ephemeral: false })
    await expect(snapshots.prepare("one", "", { ephemeral: false })).rejects.toMatchObject({
      kind: "conflict",
    })
    await snapshots.remove("one")
    await snapshots.remove("one")
    expect(() => snapshots.mounts("one")).toThrow("No such snapshot: one")
    await snapshots.prepare("one", "", { ephemeral: false })
    await snapshots.settle()
  })

  each("a layer with something on it is not removed", async ({ snapshots }) => {
    const chainId = await commit(snapshots, [await base()])
    await snapshots.prepare("one", chainId, { ephemeral: false })
    await expect(snapshots.remove(chainId)).rejects.toMatchObject({ kind: "conflict" })
    await snapshots.remove("one")
    await snapshots.remove(chainId)
    expect(snapshots.has(chainId)).toBe(false)
    await snapshots.settle()
  })

  each("a new process finds all again", async ({ snapshots, kernel, reopen }) => {
    const chainId = await commit(snapshots, [await base()])
    const mount = await snapshots.prepare("one", chainId, { ephemeral: false })
    await write(kernel, mount, [file("new", "n")])
    const again = await reopen()
    expect(again.has(chainId)).toBe(true)
    expect(await treeOf(kernel, again.mounts("one"))).toMatchObject({ new: "n", "etc/a": "one" })
    await again.prepare("two", chainId, { ephemeral: false })
    expect(await treeOf(kernel, again.mounts("two"))).not.toHaveProperty("new")
  })
}
