// "local" and "tar": the root file system itself, one tree or, for several platforms, a directory for each.
import { createHash } from "node:crypto"
import { failure } from "../../base/errors.ts"
import { writeTar } from "../../base/tar-writer.ts"
import { formatPlatform } from "../../oci/platform.ts"
import type { BuiltImage } from "../build.ts"
import { attestationsFor } from "./attestation.ts"
import { flag } from "./attributes.ts"
import { provenanceOf } from "./provenance.ts"
import { told } from "./stages.ts"
import { tarEnd } from "./tars/raw-tar.ts"
import { entriesBeneath } from "./tars/rewrite.ts"
import type { Exported, ExportWork } from "./work.ts"

/** "linux_arm64", as BuildKit names a platform's directory. */
const directoryOf = (image: BuiltImage): string => formatPlatform(image.platform).replaceAll("/", "_")

/** The last chunk of writeTar is the end of the archive. */
async function* withoutEnd(tar: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let held: Uint8Array | undefined
  for await (const chunk of tar) {
    if (held !== undefined) yield held
    held = chunk
  }
}

/** Statements about the files of a tree, as files in it: provenance.json. */
async function* statements(
  work: ExportWork,
  image: BuiltImage,
  digests: ReadonlyMap<string, string>,
  prefix: string,
): AsyncGenerator<Uint8Array> {
  for (const { attributes } of attestationsFor(work)) {
    const { predicateType, predicate } = provenanceOf(work.solved, image, attributes)
    const subject = [...digests].map(([name, sha256]) => ({ name, digest: { sha256 } }))
    const statement = { _type: "https://in-toto.io/Statement/v0.1", predicateType, subject, predicate }
    const name = `${prefix}${work.attributes.get("attestation-prefix") ?? ""}${attributes.get("filename") || "provenance.json"}`
    const body = Buffer.from(JSON.stringify(statement, undefined, 2))
    const mtime = work.epoch ?? Math.floor(Date.now() / 1000)
    yield* withoutEnd(writeTar([{ name, type: "file", mode: 0o600, mtime, body }]))
  }
}

async function* hashed(
  path: string,
  body: AsyncIterable<Uint8Array>,
  digests: Map<string, string>,
): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256")
  for await (const chunk of body) {
    hash.update(chunk)
    yield chunk
  }
  digests.set(path, hash.digest("hex"))
}

/** The tree of all results. Throws "invalid" when two of them have the same path and are not split. */
async function* treeOf(work: ExportWork): AsyncGenerator<Uint8Array> {
  const { rooms, images, attributes, epoch } = work
  const split = flag(attributes, "platform-split", images.length > 1)
  const attests = attestationsFor(work).length > 0
  const owners = new Map<string, string>()
  const claim = (path: string, kind: string, platform: string): void => {
    if (split || images.length === 1 || kind === "5") return
    const owner = owners.get(path)
    if (owner !== undefined)
      throw failure(
        "invalid",
        `cannot overwrite ${path} from ${owner} with ${platform} when split option is disabled`,
      )
    owners.set(path, platform)
  }
  for (const image of images) {
    const platform = formatPlatform(image.platform)
    const directory = split ? directoryOf(image) : ""
    if (split) {
      const mtime = epoch ?? Math.floor(image.config.created / 1000)
      yield* withoutEnd(writeTar([{ name: `${directory}/`, type: "directory", mode: 0o755, mtime }]))
    }
    const digests = new Map<string, string>()
    if (image.chainId !== "")
      yield* entriesBeneath(rooms.snapshots.flatten(image.chainId), {
        ...{ directory, time: epoch },
        visit(path, entry) {
          claim(path, entry.kind, platform)
          return attests && entry.kind === "0" ? hashed(path, entry.body, digests) : entry.body
        },
      })
    const dot = split || images.length === 1 ? "" : `${directoryOf(image)}.`
    yield* statements(work, image, digests, split ? `${directory}/` : dot)
  }
  yield tarEnd
}

export const exportFiles = async (work: ExportWork, type: "local" | "tar"): Promise<Exported> => {
  const write = type === "tar" ? work.request.write : work.request.writeTree
  if (write === undefined)
    throw failure(
      "invalid",
      type === "tar"
        ? "dest file is required for tar exporter: add dest=FILE, or dest=- for standard output"
        : "dest is required for local exporter: add dest=DIRECTORY",
    )
  await work.stages.step(type === "tar" ? "sending tarball" : "copying files", (tell) =>
    write(told(treeOf(work), 0, tell, work.signal)),
  )
  return { response: [] }
}
