// Files at HTTP addresses: fetched once, kept with what the server says of their version, asked for again only by that.
import { createHash } from "node:crypto"
import { open } from "node:fs/promises"
import { join } from "node:path"
import { Failure, failure } from "../../base/errors.ts"
import { KeyedMutex } from "../../base/keyed-mutex.ts"
import type { Material } from "../build.ts"
import { BuildFailure } from "../failure.ts"
import type { HttpNode } from "../graph/graph.ts"
import type { StepRun } from "../operations/operations.ts"
import type { BuildRooms } from "../rooms.ts"
import type { ContextTree } from "../solver/solver.ts"
import { openTree } from "./local/tree.ts"
import { openShelf, type Place, type Shelf } from "./shelf.ts"
import { type Patience, patience, within } from "./stalling.ts"

export interface Wanted {
  readonly url: string
  readonly filename: string
  /** "sha256:…", "sha384:…", "sha512:…" or "". */
  readonly checksum: string
}

/** A file that was fetched. */
export interface Fetched {
  readonly place: Place
  /** "sha256:…" of its bytes. */
  readonly digest: string
  readonly path: string
  /** Seconds since 1970 of the server's Last-Modified; 0 when it told none. */
  readonly modified: number
}

export interface HttpSource {
  fetch(node: HttpNode, run: StepRun): Promise<{ readonly tree: ContextTree; readonly material: Material }>
  key(node: HttpNode, run: StepRun): Promise<string | undefined>
  /** The file itself, held until `release`. */
  get(wanted: Wanted, run: StepRun): Promise<Fetched & { release(): void }>
  readonly shelf: Shelf
}

export interface HttpLimits extends Patience {
  readonly largest: number
}

/** A file larger than this is no source of a build. */
const limits: HttpLimits = { ...patience, largest: 32 * 2 ** 30 }
const mostRedirects = 10

/** The address without a name and password in it, for messages and provenance. */
export const withoutSecrets = (address: string): string =>
  address.replace(/^([a-z0-9+.-]+:\/\/)[^/@]*@/i, "$1")

interface Version {
  readonly etag: string
  readonly modified: string
}

const text = (value: unknown): string => (typeof value === "string" ? value : "")

const isFailure = (error: unknown): error is Failure => error instanceof Failure

const unreachable = (url: string, run: StepRun, error: unknown): Failure => {
  if (run.signal.aborted) return failure("cancelled", "context canceled", { cause: error })
  if (isFailure(error)) return error
  const reason = error instanceof Error ? error.message : String(error)
  return failure("unavailable", `cannot fetch ${withoutSecrets(url)}: ${reason}`, { cause: error })
}

const checkAddress = (address: string): URL => {
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:"))
    throw failure("invalid", `cannot fetch ${withoutSecrets(address)}: it is no HTTP address`)
  return url
}

/** The name and password of an address become a header; `fetch` takes none in the address. */
const prepared = (url: URL, version: Version): { address: string; headers: Record<string, string> } => {
  const headers: Record<string, string> = { "Accept-Encoding": "identity", "User-Agent": "sloop" }
  if (version.etag !== "") headers["If-None-Match"] = version.etag
  else if (version.modified !== "") headers["If-Modified-Since"] = version.modified
  const { username, password } = url
  if (username !== "" || password !== "") {
    const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
    headers.Authorization = `Basic ${Buffer.from(pair).toString("base64")}`
  }
  const bare = new URL(url)
  bare.username = ""
  bare.password = ""
  bare.hash = ""
  return { address: bare.href, headers }
}

/** Follows redirects itself: only to HTTP addresses, and without what belongs to another origin. */
const request = async (
  address: string,
  version: Version,
  patience: Patience,
  signal: AbortSignal,
): Promise<Response> => {
  let url = checkAddress(address)
  for (let hop = 0; hop <= mostRedirects; hop++) {
    const { address: bare, headers } = prepared(url, version)
    const shown = withoutSecrets(url.href)
    const answer = await within(
      fetch(bare, { headers, redirect: "manual", signal }),
      patience.answer,
      `cannot fetch ${shown}: the server did not answer within ${patience.answer / 1000} s`,
    )
    const location = answer.headers.get("location")
    if (![301, 302, 303, 307, 308].includes(answer.status) || location === null) return answer
    await answer.body?.cancel()
    if (!URL.canParse(location, url.href))
      throw failure("invalid", `cannot fetch ${shown}: it redirects to "${location}", which is no address`)
    url = checkAddress(new URL(location, url).href)
  }
  throw failure(
    "invalid",
    `cannot fetch ${withoutSecrets(address)}: it redirects more than ${mostRedirects} times`,
  )
}

const report = (run: StepRun, current: number, total: number, startedAt: number, ended: boolean): void => {
  const at = Date.now()
  const times = ended ? { at, startedAt, completedAt: at } : { at, startedAt }
  run.report({ type: "status", vertex: run.vertex, id: "downloading", current, total, ...times })
}

/** Writes the body to a file. Bytes and digests are told when it ends. */
const save = async (
  answer: Response,
  path: string,
  wanted: Wanted,
  limits: HttpLimits,
  run: StepRun,
): Promise<{ readonly size: number; readonly digest: string }> => {
  const shown = withoutSecrets(wanted.url)
  const tooLarge = () => failure("invalid", `cannot fetch ${shown}: it has more than ${limits.largest} bytes`)
  const announced = Number(answer.headers.get("content-length") ?? 0)
  if (announced > limits.largest) throw tooLarge()
  const digest = createHash("sha256")
  const algorithm = wanted.checksum.split(":")[0] ?? ""
  const other = algorithm === "" || algorithm === "sha256" ? undefined : createHash(algorithm)
  const startedAt = Date.now()
  let size = 0
  let told = 0
  const file = await open(path, "wx", 0o600)
  try {
    const reader = answer.body?.getReader()
    while (reader !== undefined) {
      const stalled = `cannot fetch ${shown}: no byte came for ${limits.stall / 1000} s`
      const { done, value } = await within(reader.read(), limits.stall, stalled)
      if (done) break
      size += value.length
      if (size > limits.largest) throw tooLarge()
      digest.update(value)
      other?.update(value)
      await file.write(value)
      if (Date.now() - told < 100) continue
      told = Date.now()
      report(run, size, announced, startedAt, false)
    }
    if (announced > 0 && answer.headers.get("content-encoding") === null && size !== announced)
      throw failure("unavailable", `cannot fetch ${shown}: it ended after ${size} of ${announced} bytes`)
  } finally {
    await file.close()
  }
  report(run, size, size, startedAt, true)
  const found = digest.digest("hex")
  const checked = other === undefined ? `sha256:${found}` : `${algorithm}:${other.digest("hex")}`
  if (wanted.checksum !== "" && checked !== wanted.checksum)
    throw new BuildFailure("invalid", `digest mismatch ${checked}: ${wanted.checksum}`, {})
  return { size, digest: `sha256:${found}` }
}

const fetchedOf = (place: Place, filename: string): Fetched => ({
  place,
  digest: text(place.memory.digest),
  path: join(place.directory, filename),
  modified: Math.trunc(Date.parse(text(place.memory.modified)) / 1000) || 0,
})

const keyOf = ({ url, filename }: Wanted): string => JSON.stringify([url, filename])

export const openHttp = (rooms: BuildRooms, given: Partial<HttpLimits> = {}): HttpSource => {
  const bounds = { ...limits, ...given }
  const shelf = openShelf(rooms, "http", "source.http")
  const mutex = new KeyedMutex()
  /** Within one build an address is asked for once. */
  const seen = new WeakMap<object, Map<string, Place>>()

  const download = async (wanted: Wanted, run: StepRun): Promise<Place> => {
    const before = shelf.find(keyOf(wanted))
    const checksumOf = before === undefined ? "" : text(before.memory.checksum) || text(before.memory.digest)
    if (before !== undefined && wanted.checksum !== "" && checksumOf === wanted.checksum) return before
    const version = { etag: text(before?.memory.etag), modified: text(before?.memory.modified) }
    const isUsable = before !== undefined && wanted.checksum === ""
    const controller = new AbortController()
    const signal = AbortSignal.any([run.signal, controller.signal])
    const fresh = shelf.begin()
    try {
      const asked = isUsable ? version : { etag: "", modified: "" }
      const answer = await request(wanted.url, asked, bounds, signal)
      if (answer.status === 304 && before !== undefined) {
        await fresh.drop()
        return before
      }
      if (answer.status < 200 || answer.status >= 400)
        throw new BuildFailure("invalid", `invalid response status ${answer.status}`, {})
      const path = join(fresh.directory, wanted.filename)
      const { size, digest } = await save(answer, path, wanted, bounds, run)
      const modified = answer.headers.get("last-modified") ?? ""
      const seconds = Math.trunc(Date.parse(modified) / 1000) || 0
      await touch(path, seconds)
      const memory = {
        digest,
        modified: seconds === 0 ? "" : modified,
        etag: answer.headers.get("etag") ?? "",
        checksum: wanted.checksum,
      }
      const description = `http url ${withoutSecrets(wanted.url)}`
      return await fresh.keep({ key: keyOf(wanted), description, bytes: size, memory })
    } catch (error) {
      controller.abort()
      await fresh.drop().catch(() => undefined)
      throw unreachable(wanted.url, run, error)
    }
  }

  const get: HttpSource["get"] = (wanted, run) =>
    mutex.run(keyOf(wanted), async () => {
      const known = seen.get(run.request) ?? new Map<string, Place>()
      seen.set(run.request, known)
      const key = JSON.stringify(wanted)
      const held = known.get(key)
      if (held !== undefined && !shelf.has(held))
        throw failure(
          "unavailable",
          `what was fetched from ${withoutSecrets(wanted.url)} was removed while a build used it; build again`,
        )
      const place = held ?? (await download(wanted, run))
      known.set(key, place)
      const release = shelf.use(place)
      return { ...fetchedOf(place, wanted.filename), release }
    })

  return {
    shelf,
    get,
    async fetch(node, run) {
      const { place, digest, release } = await get(node, run)
      try {
        const tree = openTree(rooms, place.directory, { signal: run.signal, release, lasts: false })
        return { tree, material: { uri: withoutSecrets(node.url), digest } }
      } catch (error) {
        release()
        throw error
      }
    },
    async key(node, run) {
      // What has been proven by its checksum need not be asked for.
      if (node.checksum !== "") return `${node.checksum} ${node.filename}`
      const { digest, modified, release } = await get(node, run)
      release()
      return `${digest} ${node.filename} ${modified}`
    },
  }
}

const touch = async (path: string, seconds: number): Promise<void> => {
  const file = await open(path, "r+")
  try {
    await file.utimes(seconds, seconds)
  } finally {
    await file.close()
  }
}
