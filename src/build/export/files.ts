// "local" and "tar": the root file system itself, one tree or, for several platforms, a directory for each.
import { createHash } from "node:crypto"
import { failure } from "../../base/errors.ts"
import { writeTar } from "../../base/tar-writer.ts"
import { formatPlatform } from "../../oci/platform.ts"
import type { BuiltImage } from "../build.ts"
import { type Attestation, attestationsFor } from "./attestation.ts"
import { flag } from "./attributes.ts"
import { destinationOf } from "./check.ts"
import { provenanceOf } from "./provenance.ts"
import { told } from "./stages.ts"
import { plainPath, readRawTar, tarEnd } from "./tars/raw-tar.ts"
import { itemsBeneath, mergeItems, type TreeItem, treeOrder } from "./tars/rewrite.ts"
import type { Exported, ExportWork } from "./work.ts"

/** "linux_arm64", as BuildKit names a platform's directory. */
const directoryOf = (image: BuiltImage): string => formatPlatform(image.platform).replaceAll("/", "_")

/** One entry of ours as it stands in a tar, without the end of the archive, which is the last chunk of writeTar. */
const itemOf = (path: string, source: Parameters<typeof writeTar>[0], kind: string): TreeItem => ({
  path,
  kind,
  bytes: (async function* () {
    let held: Uint8Array | undefined
    for await (const chunk of writeTar(source)) {
      if (held !== undefined) yield held
      held = chunk
    }
  })(),
})

/** Digests of a tree's regular files. */
const digestsOf = async (tar: AsyncIterable<Uint8Array>): Promise<{ name: string; sha256: string }[]> => {
  const found: { name: string; sha256: string }[] = []
  for await (const { kind, name, body } of readRawTar(tar)) {
    if (kind !== "0") continue
    const hash = createHash("sha256")
    for await (const chunk of body) hash.update(chunk)
    const path = Buffer.from(plainPath(name), "latin1").toString("utf8")
    found.push({ name: path, sha256: hash.digest("hex") })
  }
  return found
}

const filesOf = ({ rooms }: ExportWork, { chainId }: BuiltImage): AsyncIterable<Uint8Array> =>
  chainId === "" ? (async function* () {})() : rooms.snapshots.flatten(chainId)

/** A statement about the files of a tree, as a file in it: provenance.json. */
const statementItem = async (
  work: ExportWork,
  image: BuiltImage,
  { attributes }: Attestation,
  prefix: string,
): Promise<TreeItem> => {
  const { predicateType, predicate } = provenanceOf(work.solved, image, attributes)
  const digests = await digestsOf(filesOf(work, image))
  const subject = digests.map(({ name, sha256 }) => ({ name, digest: { sha256 } }))
  const statement = { _type: "https://in-toto.io/Statement/v0.1", predicateType, subject, predicate }
  const own = attributes.get("filename") || "provenance.json"
  const name = `${prefix}${work.attributes.get("attestation-prefix") ?? ""}${own}`
  const body = Buffer.from(JSON.stringify(statement, undefined, 2))
  const mtime = work.epoch ?? Math.floor(Date.now() / 1000)
  return itemOf(name, [{ name, type: "file", mode: 0o600, mtime, body }], "0")
}

async function* listed(items: readonly TreeItem[]): AsyncGenerator<TreeItem> {
  yield* items
}

/** All trees of the export, each in the order in which it is received, and whose they are. */
const treesOf = async (
  work: ExportWork,
): Promise<{ readonly items: AsyncIterable<TreeItem>; readonly owner: string }[]> => {
  const { images, attributes, epoch } = work
  const split = flag(attributes, "platform-split", images.length > 1)
  const attestations = attestationsFor(work)
  const trees: { items: AsyncIterable<TreeItem>; owner: string }[] = []
  for (const image of images) {
    const owner = formatPlatform(image.platform)
    const directory = split ? directoryOf(image) : ""
    const own: TreeItem[] = []
    if (split) {
      const mtime = epoch ?? Math.floor(image.config.created / 1000)
      own.push(itemOf(directory, [{ name: `${directory}/`, type: "directory", mode: 0o755, mtime }], "5"))
    }
    const prefix = split ? `${directory}/` : images.length === 1 ? "" : `${directoryOf(image)}.`
    for (const attestation of attestations) own.push(await statementItem(work, image, attestation, prefix))
    own.sort((a, b) => treeOrder(a.path, b.path))
    trees.push({ items: listed(own), owner: `the attestation of ${owner}` })
    trees.push({ items: itemsBeneath(filesOf(work, image), directory, epoch), owner })
  }
  return trees
}

/** The tree of all results. Throws "invalid" when two of them have the same path and are not split. */
async function* treeOf(work: ExportWork): AsyncGenerator<Uint8Array> {
  const trees = await treesOf(work)
  const ownerOf = (at: number): string => trees[at]?.owner ?? ""
  const merged = mergeItems(
    trees.map(({ items }) => items),
    (path, first, second) => {
      throw failure(
        "invalid",
        `cannot overwrite ${path} from ${ownerOf(first)} with ${ownerOf(second)} when split option is disabled`,
      )
    },
  )
  for await (const { bytes } of merged) yield* bytes
  yield tarEnd
}

export const exportFiles = async (work: ExportWork, type: "local" | "tar"): Promise<Exported> => {
  const write = destinationOf(work.request, type === "tar" ? "write" : "writeTree")
  await work.stages.step(type === "tar" ? "sending tarball" : "copying files", (tell) =>
    write(told(treeOf(work), 0, tell, work.signal)),
  )
  return { response: [] }
}
