// Blobs of an OCI layout in a directory of ours: for contexts that are layouts, and for local caches.
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { failure } from "../../base/errors.ts"

/** Digests name files: nothing else may. */
function blobPath(directory: string, digest: string): string {
  const match = /^(sha256|sha512):([0-9a-f]{64,128})$/.exec(digest)
  if (!match) throw failure("invalid", `"${digest}" is no digest`)
  return join(directory, "blobs", match[1] ?? "", match[2] ?? "")
}

export const hasBlob = (directory: string, digest: string): boolean => existsSync(blobPath(directory, digest))

/** undefined when it is not there. */
export const readBlob = (directory: string, digest: string): AsyncIterable<Uint8Array> | undefined => {
  const path = digest === "index.json" ? join(directory, "index.json") : blobPath(directory, digest)
  return existsSync(path) ? createReadStream(path, { highWaterMark: 1 << 20 }) : undefined
}

/** Whole or not at all. */
export async function writeBlob(
  directory: string,
  digest: string,
  bytes: AsyncIterable<Uint8Array>,
): Promise<void> {
  const path = blobPath(directory, digest)
  mkdirSync(join(path, ".."), { recursive: true })
  const partial = `${path}.partial-${process.pid}`
  try {
    await pipeline(Readable.from(bytes), createWriteStream(partial))
    renameSync(partial, path)
  } finally {
    rmSync(partial, { force: true })
  }
}

/** The cache's index: one manifest, under the tag "latest" or the one asked for. */
export function writeIndex(directory: string, descriptor: unknown, tag: string): void {
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}\n')
  const manifest = {
    ...(typeof descriptor === "object" ? descriptor : {}),
    annotations: { "org.opencontainers.image.ref.name": tag },
  }
  const index = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [manifest],
  }
  const partial = join(directory, `index.json.partial-${process.pid}`)
  writeFileSync(partial, `${JSON.stringify(index)}\n`)
  renameSync(partial, join(directory, "index.json"))
}
