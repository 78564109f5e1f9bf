// import, save, tag, remove, prune, commit and recovery over a real launcher.
import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { readdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { busyboxRootfsTar, dockerArchive, gather, streamed } from "../../test/fixtures/busybox-image.ts"
import { type ImageStore, openImageStore } from "../../test/fixtures/image-store.ts"
import { digestOf } from "../base/digest-stream.ts"
import { readTar } from "../base/tar-reader.ts"
import { writeTar } from "../base/tar-writer.ts"
import { familiarReference, parseReference } from "../oci/reference.ts"

for (const form of ["overlay", "erofs"] as const)
  describe(`layers kept as ${form}`, () => {
    let store: ImageStore
    beforeEach(async () => {
      store = await openImageStore({ form })
    })
    afterEach(() => store.close())

    const layer = (text: string) =>
      gather(writeTar([{ name: text, type: "file", body: Buffer.from(text.repeat(1000)) }]))
    const load = async (
      layers: readonly string[],
      tags: readonly string[],
      labels: Record<string, string> = {},
    ) => {
      const image = { layers: await Promise.all(layers.map(layer)), tags, config: { Labels: labels } }
      const [loaded = ""] = await store.images.load(streamed(await dockerArchive([image])), () => {})
      return (await store.images.get(loaded)).id
    }
    const unused = () => []
    const user = (running: boolean) => () => [{ id: "abcdef0123456789", running }]
    const remove = (
      reference: string,
      options = {},
      users: () => { id: string; running: boolean }[] = unused,
    ) => store.images.remove(reference, { force: false, prune: true, ...options }, users)
    const short = (id: string) => id.slice(7, 19)

    test("import: a root file system becomes an image with changes", async () => {
      const id = await store.images.import(streamed(gzipSync(await busyboxRootfsTar())), {
        reference: "mine",
        message: "by hand",
        changes: ["CMD sleep 1", 'ENV A="1 2" B=$A', "EXPOSE 80", "LABEL who=me"],
      })
      const image = await store.images.get("mine:latest")
      expect(image.id).toBe(id)
      expect(image.comment).toBe("by hand")
      expect(image.history).toHaveLength(1)
      expect(image.diffIds).toEqual([digestOf(await busyboxRootfsTar())])
      expect(image.config).toMatchObject({
        command: ["/bin/sh", "-c", "sleep 1"],
        env: ["A=1 2", "B="],
        exposedPorts: ["80/tcp"],
        labels: { who: "me" },
      })
      expect(store.happened).toEqual([`import ${id}`, "tag mine:latest"])
    })

    test("import refuses what it cannot use, before it reads and after, and leaves nothing", async () => {
      const tar = await layer("x")
      const attempt = (bytes: Uint8Array, options: Parameters<typeof store.images.import>[1]) =>
        store.images.import(streamed(bytes), options)
      await expect(attempt(tar, { changes: ["RUN true"] })).rejects.toThrow(
        "RUN is not a valid change command",
      )
      await expect(attempt(tar, { reference: `a@sha256:${"a".repeat(64)}` })).rejects.toThrow(
        "digest reference",
      )
      await expect(attempt(tar, { reference: "A" })).rejects.toThrow("must be lowercase")
      await expect(attempt(tar, { platform: "windows/amd64" })).rejects.toThrow("windows")
      await expect(attempt(new Uint8Array(0), {})).rejects.toThrow("is empty")
      await expect(attempt(Buffer.from("BZh9 and so on"), {})).rejects.toThrow("bzip2")
      await expect(attempt(Buffer.alloc(2000, 0x42), {})).rejects.toMatchObject({ kind: "invalid" })
      await expect(attempt(tar.subarray(0, 700), {})).rejects.toMatchObject({ kind: "invalid" })
      expect(await store.inventory()).toEqual([])
    })

    test("save and load again: same ids, same bytes, both layouts", async () => {
      const id = await load(["one", "two"], ["a:1", "a:2", "example.com/b:x"])
      await load(["one"], ["c:1"])
      const all = await gather(store.images.save(["a", "example.com/b:x", "c:1"]))
      expect((await gather(store.images.save(["c:1", "a", "example.com/b:x"]))).equals(all)).toBe(true)
      const members: string[] = []
      const documents = new Map<string, string>()
      for await (const entry of readTar(streamed(all))) {
        members.push(entry.name)
        if (!entry.name.startsWith("blobs"))
          documents.set(entry.name, Buffer.from(await gather(entry.body)).toString())
      }
      expect(new Set(members).size).toBe(members.length)
      expect(JSON.parse(documents.get("manifest.json") ?? "")).toHaveLength(2)
      expect(JSON.parse(documents.get("index.json") ?? "").manifests).toHaveLength(4)
      expect(spawnSync("tar", ["-t"], { input: all, encoding: "utf8" }).stderr).toBe("")

      for (const reference of ["a:1", "a:2", "example.com/b:x", "c:1"]) await remove(reference)
      expect(await store.inventory()).toEqual([])
      const loaded = await store.images.load(streamed(all), () => {})
      expect(loaded.toSorted()).toEqual(["a:1", "a:2", "c:1", "example.com/b:x"])
      expect((await store.images.get("a:2")).id).toBe(id)
      expect((await store.images.get("a:2")).manifestDigest).not.toBe("")
      expect((await gather(store.images.save(["a", "example.com/b:x", "c:1"]))).equals(all)).toBe(true)
      const byId = await gather(store.images.save([short(id)]))
      for (const reference of ["a", "example.com/b:x", "c:1"])
        for (const image of await store.images.list())
          for (const tag of image.tags) if (tag.startsWith(reference)) await remove(tag)
      expect(await store.images.load(streamed(byId), () => {})).toEqual([id])
      await expect(gather(store.images.save(["nothing"]))).rejects.toThrow("No such image: nothing:latest")
    })

    test("tag: new names, moved names, refusals", async () => {
      const one = await load(["one"], ["a:1"])
      const two = await load(["two"], ["b:1"])
      await store.images.tag("a:1", "example.com:5000/x/y")
      await store.images.tag(short(two), "a:1")
      expect((await store.images.get("a:1")).id).toBe(two)
      expect((await store.images.get(one)).tags).toEqual(["example.com:5000/x/y:latest"])
      expect((await store.images.get(two)).tags).toEqual(["a:1", "b:1"])
      await expect(store.images.tag("nothing", "x")).rejects.toThrow("No such image: nothing:latest")
      await expect(store.images.tag("a:1", "X")).rejects.toThrow("must be lowercase")
      await expect(store.images.tag("a:1", `x@${one}`)).rejects.toThrow(
        "refusing to create a tag with a digest reference",
      )
      await expect(store.images.tag("a:1", "sha256")).rejects.toThrow("ambiguous tag using digest algorithm")
      expect(store.happened.slice(2)).toEqual(["tag example.com:5000/x/y:latest", "tag a:1"])
    })

    test("remove: one name of several is only untagged; the last one deletes layers nobody shares", async () => {
      const shared = await load(["base", "one"], ["a:1", "a:2"])
      await load(["base"], ["base:1"])
      expect(await remove("a:1")).toEqual([{ untagged: "a:1" }])
      const chain = (await store.images.get("a:2")).chainId
      expect(await remove("a:2")).toEqual([{ untagged: "a:2" }, { deleted: shared }, { deleted: chain }])
      expect(await store.images.list()).toHaveLength(1)
      const before = await store.inventory()
      expect(before.filter((line) => line.startsWith("snapshot"))).toHaveLength(1)
      // Its config; and its layer, unless the tar that the layer is made of is that already.
      expect(before.filter((line) => line.startsWith("blob"))).toHaveLength(form === "erofs" ? 1 : 2)
      await expect(remove("a:2")).rejects.toThrow("No such image: a:2")
      expect(store.happened.slice(2)).toEqual([`untag ${shared}`, `untag ${shared}`, `delete ${shared}`])
    })

    test("remove by id: several names must be forced, one goes along", async () => {
      const id = await load(["one"], ["a:1", "b:1"])
      await expect(remove(short(id))).rejects.toThrow(
        `conflict: unable to delete ${short(id)} (must be forced) - image is referenced in multiple repositories`,
      )
      const gone = await remove(id, { force: true })
      expect(gone.slice(0, 3)).toEqual([{ untagged: "a:1" }, { untagged: "b:1" }, { deleted: id }])
      const again = await load(["one"], ["a:1"])
      expect((await remove(short(again)))[0]).toEqual({ untagged: "a:1" })
      expect(await store.inventory()).toEqual([])
    })

    test("remove: images of containers, in Docker's words", async () => {
      const id = await load(["one"], ["a:1"])
      const inUse = (message: string, reference: string, options: object, running: boolean) =>
        expect(remove(reference, options, user(running))).rejects.toThrow(message)
      const byName = `conflict: unable to remove repository reference "a:1" (must force) - container abcdef012345 is using its referenced image ${short(id)}`
      await inUse(byName, "a:1", {}, true)
      await inUse(byName, "a:1", {}, false)
      const running = `conflict: unable to delete ${short(id)} (cannot be forced) - image is being used by running container abcdef012345`
      await inUse(running, id, {}, true)
      await inUse(running, id, { force: true }, true)
      await inUse(
        `conflict: unable to delete ${short(id)} (must be forced) - image is being used by stopped container abcdef012345`,
        id,
        {},
        false,
      )
      // Forced by name, the name goes and a running container's image stays.
      expect(await remove("a:1", { force: true }, user(true))).toEqual([{ untagged: "a:1" }])
      expect((await store.images.get(id)).tags).toEqual([])
      await store.snapshots.prepare("container", (await store.images.get(id)).chainId, { ephemeral: false })
      expect(await remove(id, { force: true }, user(false))).toEqual([{ deleted: id }])
      // The stopped container's layers stay until it goes; then the next removal or start sweeps them.
      expect(store.state.snapshots.list()).toHaveLength(2)
      await store.snapshots.remove("container")
      store = await store.reopen()
      expect(await store.inventory()).toEqual([])
    })

    const digestName = (id: string) => `a@${id}`

    test("digests of a repository go with its last tag", async () => {
      const id = await load(["one"], ["a:1"])
      const name = `docker.io/library/${digestName(id)}`
      store.state.references.put(name, id)
      store = await store.reopen()
      const image = await store.images.get(digestName(id))
      expect(image.digests).toEqual([familiarReference(parseReference(name))])
      expect((await store.images.get(`a:whatever@${id}`)).id).toBe(id)
      expect((await remove("a:1")).slice(0, 3)).toEqual([
        { untagged: "a:1" },
        { untagged: digestName(id) },
        { deleted: id },
      ])
    })

    const commit = async (parentName: string, reference: string | undefined, changed: boolean) => {
      const parent = await store.images.get(parentName)
      const key = `container-${Math.random()}`
      await store.snapshots.prepare(key, parent.chainId, { ephemeral: false })
      if (changed) writeFileSync(join(store.snapshots.layers(key).upper, "new"), "n")
      const id = await store.images.commit({
        snapshotKey: key,
        parent,
        ...(reference === undefined ? {} : { reference }),
        author: "me",
        comment: "why",
        config: { ...parent.config, user: "1" },
        createdBy: "sh",
      })
      await store.snapshots.remove(key)
      return id
    }

    test("commit: the writable layer becomes a layer; an unchanged one becomes none", async () => {
      const parent = await load(["one"], ["a:1"])
      const id = await commit("a:1", "b", true)
      const image = await store.images.get("b:latest")
      expect(image).toMatchObject({ id, parent, author: "me", comment: "why", config: { user: "1" } })
      expect(image.diffIds).toHaveLength(2)
      expect(image.history.at(-1)).toMatchObject({ createdBy: "sh", emptyLayer: false })
      expect(image.size).toBe((await store.images.get("a:1")).size + 1)
      const same = await store.images.get(await commit("a:1", undefined, false))
      expect(same.diffIds).toHaveLength(1)
      expect(same.history.at(-1)).toMatchObject({ emptyLayer: true })
      expect(store.happened.slice(1)).toEqual(["tag b:latest"])
      const saved = await gather(store.images.save(["b"]))
      expect(saved.length).toBeGreaterThan(1024)
    })

    test("parents stay while they have children, and go with the last one", async () => {
      const parent = await load(["one"], ["a:1"])
      const child = await commit("a:1", "b:1", true)
      await expect(remove(parent, { force: true })).rejects.toThrow(
        `conflict: unable to delete ${short(parent)} (cannot be forced) - image has dependent child images`,
      )
      expect(await remove("a:1")).toEqual([{ untagged: "a:1" }])
      const deleted = (await remove("b:1")).map((entry) => entry.deleted).filter((id) => id !== undefined)
      expect(deleted).toContain(child)
      expect(deleted).toContain(parent)
      expect(await store.inventory()).toEqual([])
    })

    test("prune: dangling ones, or all that no container uses, by label and age", async () => {
      const named = await load(["one"], ["a:1"], { keep: "yes" })
      const dangling = await load(["two"], [], { stage: "build" })
      const used = await load(["three"], [])
      const users = (id: string) => (id === used ? [{ id: "abcdef0123456789", running: false }] : [])
      const prune = (options: object) => store.images.prune({ all: false, labels: [], ...options }, users)
      expect((await prune({ labels: ["stage=test"] })).removed).toEqual([])
      expect((await prune({ until: 1 })).removed).toEqual([])
      const bytes = form === "erofs" ? 12_288 : 3000
      const { removed, reclaimed } = await prune({ labels: ["stage=build"] })
      expect(removed[0]).toEqual({ deleted: dangling })
      // Blocks of the tar and of its index; of what is unpacked, the bytes of its files.
      expect(reclaimed).toBe(bytes)
      expect((await prune({})).removed).toEqual([])
      expect((await prune({ all: true, labels: ["!keep"] })).removed).toEqual([])
      expect((await prune({ all: true })).removed.slice(0, 2)).toEqual([
        { untagged: "a:1" },
        { deleted: named },
      ])
      expect((await store.images.list()).map(({ id }) => id)).toEqual([used])
      expect(store.happened.filter((line) => line.startsWith("prune"))).toHaveLength(6)
    })

    test("a restart finds all again, removes garbage, and unpacks lost layers anew", async () => {
      const id = await load(["one", "two"], ["a:1"])
      const before = await store.inventory()
      const [firstLayer = ""] = (await store.images.get(id)).diffIds
      async function* junk() {
        yield Buffer.from("junk")
      }
      await store.content.ingest(junk())
      await store.snapshots.commitLayer({
        chainId: `sha256:${"d".repeat(64)}`,
        parent: "",
        tar: streamed(await layer("orphan")),
      })
      writeFileSync(join(store.directory, "content", "ingest", "half"), "half")
      rmSync(join(store.directory, "snapshots", "1"), { recursive: true })
      store = await store.reopen()
      expect(readdirSync(join(store.directory, "content", "ingest"))).toEqual([])
      if (form === "erofs") {
        // The tar was the only copy: the image stays, without it, until it comes again.
        expect(await store.inventory()).toEqual(before.filter((line) => !line.endsWith(firstLayer)))
        expect(await load(["one", "two"], ["a:1"])).toBe(id)
      }
      expect(await store.inventory()).toEqual(before)
      expect((await store.images.get("a:1")).id).toBe(id)
      expect(store.snapshots.has((await store.images.get(id)).chainId)).toBe(true)
    })

    test("an image whose config is damaged is left out of the list and can be removed", async () => {
      const id = await load(["one"], ["a:1"])
      await load(["two"], ["b:1"])
      writeFileSync(join(store.directory, "content", "blobs", "sha256", id.slice(7)), "{}")
      store = await store.reopen()
      expect((await store.images.list()).map((image) => image.tags)).toEqual([["b:1"]])
      expect((await remove("a:1"))[0]).toEqual({ untagged: "a:1" })
      expect(await store.images.find("a:1")).toBeUndefined()
    })

    test("short ids that several images share are ambiguous", async () => {
      const ids: string[] = []
      for (let at = 0; at < 17; at++) ids.push(await load([`layer${at}`], []))
      const digits = ids.map((id) => id.slice(7, 8))
      const twice = digits.find((digit, at) => digits.indexOf(digit) !== at) ?? ""
      await expect(store.images.get(`sha256:${twice}`)).rejects.toMatchObject({ kind: "conflict" })
      expect(store.images.get(`sha256:${twice}`)).rejects.toThrow("ambiguous")
    })

    test("getting an image is nearly free", async () => {
      await load(["one"], ["a:1"])
      await store.images.get("a:1")
      const started = performance.now()
      for (let at = 0; at < 1000; at++) await store.images.get("a:1")
      expect((performance.now() - started) / 1000).toBeLessThan(0.1)
    })
  })
