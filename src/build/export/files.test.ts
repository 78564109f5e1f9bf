// "local" and "tar": the files of a result as they are, by platform where there are several.
import { afterEach, beforeEach, expect, test } from "bun:test"
import { buildImage, exportRequest, runExport } from "../../../test/fixtures/built-image.ts"
import { gather } from "../../../test/fixtures/busybox-image.ts"
import { type ImageStore, openImageStore } from "../../../test/fixtures/image-store.ts"
import { layerTar } from "../../../test/fixtures/remote-image.ts"
import { readTar } from "../../base/tar-reader.ts"
import { writeTar } from "../../base/tar-writer.ts"
import { formatPlatform, hostPlatform } from "../../oci/platform.ts"
import type { BuildRequest, BuiltImage, ExportOptions } from "../build.ts"
import { plainBuild } from "../testing/plain-build.ts"

let store: ImageStore
beforeEach(async () => {
  store = await openImageStore()
})
afterEach(() => store.close())

const long = `${"deep/".repeat(30)}file`
const tree = await gather(
  writeTar([
    { name: "bin/", type: "directory", mode: 0o750, mtime: 1000 },
    { name: "bin/tool", type: "file", mode: 0o4755, mtime: 2000, body: Buffer.from("#!") },
    { name: "bin/same", type: "hardlink", linkName: "bin/tool" },
    { name: "link", type: "symlink", linkName: "/etc/passwd" },
    { name: "empty", type: "file" },
    { name: long, type: "file", body: Buffer.from("deep") },
  ]),
)
const riscv = { os: "linux", architecture: "riscv64", variant: "" }
const here = formatPlatform(hostPlatform()).replaceAll("/", "_")

const exported = async (
  images: readonly BuiltImage[],
  type: "local" | "tar",
  attributes: Readonly<Record<string, string>> = {},
  rest: Partial<ExportOptions> & { request?: BuildRequest } = {},
) => {
  let bytes: Buffer = Buffer.alloc(0)
  const take = async (tar: AsyncIterable<Uint8Array>) => {
    bytes = await gather(tar)
  }
  const places = type === "tar" ? { write: take } : { writeTree: take }
  await runExport(store, images, [exportRequest(type, attributes, places)], rest)
  async function* whole() {
    yield bytes
  }
  const found = new Map<string, string>()
  for await (const { name, type: kind, mode, mtime, linkName, body } of readTar(whole()))
    found.set(
      name,
      `${kind} ${mode.toString(8)} ${mtime} ${linkName} ${await gather(body)}`.replace(/ +/g, " "),
    )
  return found
}

test.each(["tar", "local"] as const)("%s has every file as it is", async (type) => {
  const files = await exported([await buildImage(store, [tree])], type)
  const [same, tool] = [files.get("bin/same"), files.get("bin/tool")]
  expect([same, tool].toSorted()).toEqual([
    expect.stringMatching(/^file 4755 2000 #!$/),
    expect.stringMatching(/^hardlink .* bin\/(tool|same) $/),
  ])
  expect(files.get("bin/")).toMatch(/^directory 750 /)
  expect(files.get("link")).toMatch(/^symlink 777 \d+ \/etc\/passwd $/)
  expect(files.get(long)).toMatch(/^file 644 0 deep$/)
})

test("each of several platforms has a directory", async () => {
  const images = [await buildImage(store, [tree]), await buildImage(store, [tree], { platform: riscv })]
  const files = await exported(images, "local")
  const link = [...files].find(
    ([name, told]) => name.startsWith("linux_riscv64/bin/") && told.startsWith("hard"),
  )
  expect(link?.[1]).toMatch(/ linux_riscv64\/bin\/(tool|same) $/)
  expect(files.get(`${here}/`)).toMatch(/^directory 755/)
  expect(files.get(`${here}/${long}`)).toMatch(/deep$/)
  await expect(exported(images, "local", { "platform-split": "false" })).rejects.toThrow(
    /cannot overwrite bin\/\w+ from linux\/\w+ with linux\/riscv64 when split option is disabled/,
  )
  // Whatever the order in which they were built.
  expect([...(await exported(images.toReversed(), "tar")).keys()]).toEqual([...files.keys()])
})

test("what goes out is in the order in which trees are received, statements and all", async () => {
  const one = await gather(
    writeTar(["a-b", "q", "z"].map((name) => ({ name, type: "file", body: Buffer.from(name) }))),
  )
  const other = await gather(
    writeTar([
      { name: "a/", type: "directory" },
      { name: "a/x", type: "file" },
      { name: "p", type: "file" },
    ]),
  )
  const images = [await buildImage(store, [one]), await buildImage(store, [other], { platform: riscv })]
  const attestations = new Map([["provenance", new Map([["mode", "max"]])]])
  const files = await exported(images, "local", { "platform-split": "false" }, { attestations })
  expect([...files.keys()]).toEqual([
    ...["a/", "a/x", "a-b"],
    ...[`${here}.provenance.json`, "linux_riscv64.provenance.json", "p", "q", "z"],
  ])
  const split = await exported(images, "local", {}, { attestations })
  expect([...split.keys()].slice(-5)).toEqual(
    ["", "a/", "a/x", "p", "provenance.json"].map((name) => `linux_riscv64/${name}`),
  )
})

test("one platform can have its directory too", async () => {
  const files = await exported([await buildImage(store, [tree])], "tar", { "platform-split": "true" })
  expect([...files.keys()].every((name) => name.startsWith(`${here}/`))).toBe(true)
})

test("with SOURCE_DATE_EPOCH every time is that", async () => {
  const request = plainBuild({ buildArgs: new Map([["SOURCE_DATE_EPOCH", "1700000000"]]) })
  const files = await exported([await buildImage(store, [tree])], "tar", {}, { request })
  expect([...files.values()].every((told) => / 1700000000 /.test(told))).toBe(true)
})

test("nothing is an empty tree", async () => {
  const files = await exported([await buildImage(store, [])], "tar")
  expect([...files]).toEqual([])
})

test("provenance lies among the files and names them by digest", async () => {
  const attestations = new Map([["provenance", new Map([["mode", "min"]])]])
  const image = await buildImage(store, [await layerTar("a", "x")])
  const files = await exported([image], "local", { "attestation-prefix": "my-" }, { attestations })
  const text = files.get("my-provenance.json") ?? ""
  const statement = JSON.parse(text.slice(text.indexOf("{")))
  expect(statement.subject).toEqual([
    {
      name: "a",
      digest: { sha256: "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881" },
    },
  ])
  const quiet = new Map([["provenance", new Map([["inline-only", "true"]])]])
  const without = await exported([image], "local", {}, { attestations: quiet })
  expect([...without.keys()]).toEqual(["a"])
})

test("a destination is needed", async () => {
  const image = await buildImage(store, [tree])
  await expect(runExport(store, [image], [exportRequest("local")])).rejects.toThrow(
    "dest directory is required for local exporter",
  )
  await expect(runExport(store, [image], [exportRequest("tar")])).rejects.toThrow("dest file is required")
})

test("a receiver that fails ends the export with its error", async () => {
  const image = await buildImage(store, [tree])
  const write = async (tar: AsyncIterable<Uint8Array>) => {
    for await (const _ of tar) throw new Error("no room")
  }
  await expect(runExport(store, [image], [exportRequest("tar", {}, { write })])).rejects.toThrow("no room")
})
