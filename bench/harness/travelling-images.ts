// Images for the benches of pull and push: made once, kept in .cache, put into a registry of this run.
import { createHash } from "node:crypto"
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { createGzip, createZstdCompress } from "node:zlib"
import { type TarSource, writeTar } from "../../src/base/tar-writer.ts"

const cache = join(import.meta.dirname, "..", "..", ".cache", "travelling")
const revision = "1"

export type Packing = "gzip" | "zstd"
export type Shape = "many files" | "few big files"

export interface PackedLayer {
  readonly path: string
  readonly digest: string
  readonly size: number
  readonly diffId: string
}

export interface TravellingImage {
  readonly shape: Shape
  readonly packing: Packing
  readonly layers: readonly PackedLayer[]
  /** Bytes of all layers, packed. */
  readonly size: number
}

/** The same numbers in every run. */
function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

/** Bytes that compress about as programs and their texts do: words from a dictionary, in no order. */
function makePool(bytes: number): Buffer {
  const random = randomNumbers(7)
  const words = Array.from({ length: 6000 }, () => {
    const letters = Array.from({ length: 3 + Math.floor(random() * 9) }, () => 97 + Math.floor(random() * 26))
    return Buffer.from([...letters, random() < 0.1 ? 10 : 32])
  })
  const pool = Buffer.alloc(bytes)
  for (let at = 0; at < bytes; ) {
    const word = words[Math.floor(random() ** 2 * words.length)] ?? Buffer.from(" ")
    at += word.copy(pool, at)
  }
  return pool
}

/** Files of one layer: about `bytes` in all, of `mean` bytes each. */
function* files(pool: Buffer, layer: number, bytes: number, mean: number): Generator<TarSource> {
  const random = randomNumbers(100 + layer)
  let left = bytes
  for (let number = 0; left > 0; number++) {
    const size = Math.max(100, Math.min(pool.length / 2, Math.floor(-Math.log(1 - random()) * mean)))
    const from = Math.floor(random() * (pool.length - size))
    const directory = `opt/l${layer}/d${Math.floor(number / 60)}`
    if (number % 60 === 0) yield { name: `${directory}/`, type: "directory" }
    yield { name: `${directory}/file-${number}.txt`, type: "file", body: pool.subarray(from, from + size) }
    left -= size
  }
}

async function pack(shape: Shape, packing: Packing): Promise<PackedLayer[]> {
  const pool = makePool(24 << 20)
  const sizes = shape === "many files" ? [180, 90, 60, 20] : [240, 100]
  const mean = shape === "many files" ? 8_500 : 6 << 20
  const layers: PackedLayer[] = []
  for (const [number, megabytes] of sizes.entries()) {
    const diff = createHash("sha256")
    const hash = createHash("sha256")
    const path = join(cache, `${shape.replaceAll(" ", "-")}-${packing}-${number}`)
    async function* tar() {
      for await (const chunk of writeTar([...files(pool, number, megabytes << 20, mean)])) {
        diff.update(chunk)
        yield chunk
      }
    }
    async function* hashed(source: AsyncIterable<Buffer>) {
      for await (const chunk of source) {
        hash.update(chunk)
        yield chunk
      }
    }
    const packer = packing === "gzip" ? createGzip() : createZstdCompress()
    await pipeline(Readable.from(tar()), packer, hashed, createWriteStream(path))
    layers.push({
      path,
      digest: `sha256:${hash.digest("hex")}`,
      size: statSync(path).size,
      diffId: `sha256:${diff.digest("hex")}`,
    })
  }
  return layers
}

/** About 350 MB of files. The first call packs it, which takes some seconds. */
export async function travellingImage(shape: Shape, packing: Packing): Promise<TravellingImage> {
  mkdirSync(cache, { recursive: true })
  const note = join(cache, `${shape.replaceAll(" ", "-")}-${packing}-${revision}.json`)
  if (!existsSync(note)) {
    const layers = await pack(shape, packing)
    writeFileSync(`${note}.new`, JSON.stringify(layers))
    renameSync(`${note}.new`, note)
  }
  const layers = JSON.parse(readFileSync(note, "utf8")) as PackedLayer[]
  return { shape, packing, layers, size: layers.reduce((sum, { size }) => sum + size, 0) }
}

const sure = async (response: Response, what: string): Promise<Response> => {
  if (!response.ok) throw new Error(`${what}: ${response.status} ${await response.text()}`)
  return response
}

/** Puts an image, with busybox beneath its own layers so that it runs, into a registry under a name. */
export async function putTravelling(
  origin: string,
  repository: string,
  tag: string,
  image: TravellingImage,
  base: PackedLayer,
): Promise<void> {
  const put = async (digest: string, body: Blob | Buffer) => {
    const begun = await sure(
      await fetch(`${origin}/v2/${repository}/blobs/uploads/`, { method: "POST" }),
      "begin",
    )
    const place = new URL(begun.headers.get("location") ?? "", origin)
    place.searchParams.set("digest", digest)
    await sure(await fetch(place, { method: "PUT", body }), `put ${digest}`)
  }
  const layers = [base, ...image.layers]
  const config = Buffer.from(
    JSON.stringify({
      architecture: process.arch === "x64" ? "amd64" : process.arch,
      os: "linux",
      config: { Cmd: ["true"], Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"] },
      rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
      history: layers.map((_, at) => ({ created_by: `layer ${at}` })),
    }),
  )
  const configDigest = `sha256:${createHash("sha256").update(config).digest("hex")}`
  for (const { digest, path } of layers) await put(digest, Bun.file(path))
  await put(configDigest, config)
  const docker = image.packing === "gzip"
  const mediaType = docker
    ? "application/vnd.docker.distribution.manifest.v2+json"
    : "application/vnd.oci.image.manifest.v1+json"
  const layerType = (packed: PackedLayer) =>
    docker
      ? "application/vnd.docker.image.rootfs.diff.tar.gzip"
      : `application/vnd.oci.image.layer.v1.tar+${packed === base ? "gzip" : image.packing}`
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType,
    config: {
      mediaType: docker
        ? "application/vnd.docker.container.image.v1+json"
        : "application/vnd.oci.image.config.v1+json",
      digest: configDigest,
      size: config.length,
    },
    layers: layers.map((layer) => ({ mediaType: layerType(layer), digest: layer.digest, size: layer.size })),
  })
  await sure(
    await fetch(`${origin}/v2/${repository}/manifests/${tag}`, {
      method: "PUT",
      headers: { "Content-Type": mediaType },
      body: manifest,
    }),
    `put ${tag}`,
  )
}

/** The busybox tar as a gzip layer. */
export async function packBase(tarPath: string): Promise<PackedLayer> {
  mkdirSync(cache, { recursive: true })
  const path = join(cache, "base")
  const tar = readFileSync(tarPath)
  await pipeline(createReadStream(tarPath), createGzip(), createWriteStream(path))
  const packed = readFileSync(path)
  return {
    path,
    digest: `sha256:${createHash("sha256").update(packed).digest("hex")}`,
    size: packed.length,
    diffId: `sha256:${createHash("sha256").update(tar).digest("hex")}`,
  }
}
