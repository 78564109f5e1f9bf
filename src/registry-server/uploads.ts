// Uploads of blobs: at once, in one stream, or in chunks; and mounts from other repositories.
// Distribution specification 1.1, "Pushing blobs".
import { createHash, randomUUID } from "node:crypto"
import { createReadStream, mkdirSync, readdirSync, rmSync } from "node:fs"
import { type FileHandle, open } from "node:fs/promises"
import { join } from "node:path"
import { type Meter, meter } from "../base/digest-stream.ts"
import type { Exchange } from "./exchange.ts"
import { requireDigest } from "./names.ts"
import { Refusal } from "./refusal.ts"
import { contentOf, type Store } from "./store.ts"

interface Upload {
  readonly id: string
  readonly repository: string
  readonly path: string
  readonly file: FileHandle
  readonly measure: Meter
  size: number
  /** One request at a time writes. */
  busy: boolean
  touchedAt: number
}

/** An upload that nobody has touched for so long is dropped, milliseconds. */
const abandonedAfter = 6 * 3600 * 1000
const mostUploads = 1024

const unknownUpload = (id: string): Refusal =>
  new Refusal("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry", { detail: { id: id.slice(0, 100) } })

/** The content store knows sha256 only, so the rare other digest is made from the file again. */
const sha512Of = async (path: string): Promise<string> => {
  const hash = createHash("sha512")
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk)
  return `sha512:${hash.digest("hex")}`
}

const isFull = (error: unknown): boolean =>
  error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT")

/** Unfinished uploads. They do not outlive the process: a client whose upload is unknown begins again. */
export class Uploads {
  readonly #store: Store
  readonly #open = new Map<string, Upload>()
  readonly #sweep: NodeJS.Timeout

  constructor(store: Store) {
    this.#store = store
    mkdirSync(store.uploads, { recursive: true, mode: 0o700 })
    for (const name of readdirSync(store.uploads)) rmSync(join(store.uploads, name), { force: true })
    this.#sweep = setInterval(() => void this.#dropAbandoned(), abandonedAfter / 6)
    this.#sweep.unref()
  }

  async close(): Promise<void> {
    clearInterval(this.#sweep)
    for (const upload of [...this.#open.values()]) await this.#drop(upload)
  }

  async #dropAbandoned(): Promise<void> {
    const old = Date.now() - abandonedAfter
    for (const upload of [...this.#open.values()])
      if (!upload.busy && upload.touchedAt < old) await this.#drop(upload)
  }

  async #drop(upload: Upload): Promise<void> {
    this.#open.delete(upload.id)
    await upload.file.close()
    rmSync(upload.path, { force: true })
  }

  #find(repository: string, id: string): Upload {
    const upload = this.#open.get(id)
    if (upload === undefined || upload.repository !== repository) throw unknownUpload(id)
    return upload
  }

  /** POST …/uploads/: a session, a whole blob (`digest`), or a mount (`mount`, `from`). */
  async begin(exchange: Exchange, repository: string): Promise<void> {
    const mount = exchange.query.get("mount")
    if (mount !== null && this.#mount(exchange, repository, requireDigest(mount))) return
    const digest = exchange.query.get("digest")
    if (digest !== null) requireDigest(digest)
    if (this.#open.size >= mostUploads)
      throw new Refusal("TOOMANYREQUESTS", `${mostUploads} uploads are under way: try again later`, {
        headers: { "Retry-After": "5" },
      })
    const id = randomUUID()
    const path = join(this.#store.uploads, id)
    const upload: Upload = {
      id,
      repository,
      path,
      file: await open(path, "wx", 0o600),
      measure: meter(),
      size: 0,
      busy: false,
      touchedAt: Date.now(),
    }
    this.#open.set(id, upload)
    if (digest === null) {
      this.#tell(exchange, upload, 202)
      return
    }
    try {
      await this.#exclusively(upload, async () => {
        await this.#append(exchange, upload)
        await this.#finish(exchange, upload, digest)
      })
    } finally {
      // Whoever uploads at once never learns the session's place, so it must not stay.
      if (this.#open.has(id)) await this.#drop(upload)
    }
  }

  /** Whether the blob was there to be mounted. Without `from` any repository's will do. */
  #mount(exchange: Exchange, repository: string, digest: string): boolean {
    const { repositories, content } = this.#store
    const from = exchange.query.get("from")
    const there = from === null ? repositories.anywhere(digest) : repositories.blob(from, digest)
    if (there === undefined || !content.has(contentOf(there))) return false
    repositories.linkBlob({ ...there, repository })
    this.#created(exchange, repository, digest)
    return true
  }

  /** GET …/uploads/ID: how much has come. */
  status(exchange: Exchange, repository: string, id: string): void {
    this.#tell(exchange, this.#find(repository, id), 204)
  }

  /** PATCH …/uploads/ID: the next bytes. */
  async patch(exchange: Exchange, repository: string, id: string): Promise<void> {
    const upload = this.#find(repository, id)
    await this.#exclusively(upload, async () => {
      this.#requireNext(exchange, upload)
      await this.#append(exchange, upload)
      this.#tell(exchange, upload, 202)
    })
  }

  /** PUT …/uploads/ID?digest=: the last bytes, perhaps none. */
  async put(exchange: Exchange, repository: string, id: string): Promise<void> {
    const upload = this.#find(repository, id)
    const digest = exchange.query.get("digest")
    if (digest === null)
      throw new Refusal("DIGEST_INVALID", "the digest of a finished upload must be given as ?digest=")
    requireDigest(digest)
    await this.#exclusively(upload, async () => {
      this.#requireNext(exchange, upload)
      await this.#append(exchange, upload)
      await this.#finish(exchange, upload, digest)
    })
  }

  /** DELETE …/uploads/ID. */
  async cancel(exchange: Exchange, repository: string, id: string): Promise<void> {
    await this.#drop(this.#find(repository, id))
    exchange.empty(204)
  }

  async #exclusively(upload: Upload, work: () => Promise<void>): Promise<void> {
    if (upload.busy)
      throw new Refusal("BLOB_UPLOAD_INVALID", "another request writes to this upload", { status: 409 })
    upload.busy = true
    try {
      await work()
    } finally {
      upload.busy = false
      upload.touchedAt = Date.now()
    }
  }

  /** A chunk that says where it belongs must be the next one. */
  #requireNext(exchange: Exchange, upload: Upload): void {
    const header = exchange.header("content-range")
    if (header === undefined) return
    const [, first, last] = /^(?:bytes[ =])?(\d+)-(\d+)(?:\/(?:\d+|\*))?$/.exec(header) ?? []
    const length = exchange.header("content-length")
    const wrong =
      first === undefined ||
      Number(first) !== upload.size ||
      Number(last) < Number(first) ||
      (length !== undefined && Number(last) - Number(first) + 1 !== Number(length))
    if (wrong)
      throw new Refusal(
        "BLOB_UPLOAD_INVALID",
        `the chunk ${header.slice(0, 60)} does not continue at byte ${upload.size}`,
        {
          status: 416,
          headers: this.#headers(upload),
        },
      )
  }

  async #append(exchange: Exchange, upload: Upload): Promise<void> {
    const announced = exchange.header("content-length")
    const before = upload.size
    try {
      for await (const chunk of exchange.request as AsyncIterable<Buffer>) {
        for (let at = 0; at < chunk.length; )
          at += (await upload.file.write(chunk, at, chunk.length - at, upload.size + at)).bytesWritten
        upload.measure.add(chunk)
        upload.size += chunk.length
      }
    } catch (cause) {
      if (isFull(cause)) {
        await this.#drop(upload)
        throw new Refusal("UNAVAILABLE", "no space left on the registry's disk", { status: 507, cause })
      }
      throw new Refusal("BLOB_UPLOAD_INVALID", "the upload was cut off", { cause })
    }
    if (announced !== undefined && upload.size - before !== Number(announced))
      throw new Refusal("SIZE_INVALID", "the body is shorter than its Content-Length")
  }

  async #finish(exchange: Exchange, upload: Upload, digest: string): Promise<void> {
    const { content, repositories } = this.#store
    this.#open.delete(upload.id)
    const found = upload.measure.finish()
    const own = digest.startsWith("sha512:") ? await sha512Of(upload.path) : found.digest
    if (own !== digest) {
      await this.#drop(upload)
      throw new Refusal("DIGEST_INVALID", "provided digest did not match uploaded content", {
        detail: { provided: digest, found: own },
      })
    }
    await content.adopt({ path: upload.path, file: upload.file, ...found })
    await content.sync()
    repositories.linkBlob({
      repository: upload.repository,
      digest,
      size: found.size,
      ...(found.digest === digest ? {} : { content: found.digest }),
    })
    this.#created(exchange, upload.repository, digest)
  }

  #created(exchange: Exchange, repository: string, digest: string): void {
    exchange.empty(201, {
      Location: `/v2/${repository}/blobs/${digest}`,
      "Docker-Content-Digest": digest,
    })
  }

  #headers(upload: Upload): Record<string, string> {
    return {
      Location: `/v2/${upload.repository}/blobs/uploads/${upload.id}`,
      Range: `0-${Math.max(0, upload.size - 1)}`,
      "Docker-Upload-UUID": upload.id,
    }
  }

  #tell(exchange: Exchange, upload: Upload, status: number): void {
    exchange.empty(status, this.#headers(upload))
  }
}
