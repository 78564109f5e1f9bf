// What is compared of a built image: its config, its history, and the files of the layers that the build added.
import { dirname, join } from "node:path"
import { gunzipSync, zstdDecompressSync } from "node:zlib"
import { readTar } from "./tar-facts.ts"

export interface ImageFacts {
  readonly config: Readonly<Record<string, unknown>>
  readonly history: readonly string[]
  /** Path to facts, layer by layer, without those of the base. */
  readonly layers: readonly Readonly<Record<string, string>>[]
}

/** A build's outcome; `error` is its last line when it failed. */
export type CaseFacts = { readonly error: string } | ImageFacts

const record = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {}

const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])

const opened = (bytes: Buffer): Buffer => {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return gunzipSync(bytes)
  if (bytes.length > 4 && bytes.readUInt32LE(0) === 0xfd2fb528) return zstdDecompressSync(bytes)
  return bytes
}

/** Keys that say nothing of the image: names of intermediate containers and images, empty fields. */
const meaningless = new Set(["Hostname", "Domainname", "Image", "ContainerConfig", "OnBuildTriggers"])

const meaningful = (config: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(config)
      .filter(([key, value]) => {
        if (meaningless.has(key) || value === null || value === "" || value === false) return false
        return !(typeof value === "object" && Object.keys(value ?? {}).length === 0)
      })
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  )

/** Reads an image archive (docker save, or buildx's type=docker). `baseDiffIds` are the layers to leave out. */
export const imageFacts = (archive: Buffer, baseDiffIds: ReadonlySet<string>): ImageFacts => {
  const entries = readTar(archive)
  const files = new Map(entries.map(({ path, body }) => [path, body]))
  // docker save writes a layer that occurs twice once, and a link to it.
  for (const { path, line } of entries) {
    const target = / -> (.+)$/.exec(line)?.[1]
    const body = files.get(join(dirname(path), target ?? ""))
    if (target !== undefined && body !== undefined) files.set(path, body)
  }
  const json = (path: string): unknown => {
    const body = files.get(path)
    if (body === undefined) throw new Error(`the archive has no ${path}`)
    return JSON.parse(body.toString("utf8"))
  }
  const manifest = record(list(json("manifest.json"))[0])
  const document = record(json(String(manifest.Config)))
  const diffIds = list(record(document.rootfs).diff_ids).map(String)
  const layers = list(manifest.Layers)
    .map(String)
    .filter((_, at) => !baseDiffIds.has(diffIds[at] ?? ""))
    .map((path) => {
      const body = files.get(path)
      if (body === undefined) throw new Error(`the archive has no ${path}`)
      const facts = readTar(opened(body)).filter((fact) => fact.path !== "" && fact.path !== ".")
      return Object.fromEntries(
        facts.map(({ path: name, line }) => [name, line] as const).toSorted(([a], [b]) => (a < b ? -1 : 1)),
      )
    })
  return {
    config: meaningful(record(document.config)),
    history: list(document.history)
      .map(record)
      .map((step) => `${step.empty_layer === true ? "-" : "+"} ${String(step.created_by ?? "")}`),
    layers,
  }
}

/** What a stack of layers shows in the end: path to facts, whiteouts applied. */
export const mergedFiles = (layers: ImageFacts["layers"]): Record<string, string> => {
  const shown = new Map<string, string>()
  const removeBeneath = (directory: string) => {
    for (const path of [...shown.keys()]) if (path.startsWith(`${directory}/`)) shown.delete(path)
  }
  for (const layer of layers) {
    for (const path of Object.keys(layer)) {
      const name = path.slice(path.lastIndexOf("/") + 1)
      const directory = path.slice(0, Math.max(0, path.lastIndexOf("/")))
      if (name === ".wh..wh..opq") removeBeneath(directory)
    }
    for (const [path, line] of Object.entries(layer)) {
      const slash = path.lastIndexOf("/")
      const name = path.slice(slash + 1)
      if (name === ".wh..wh..opq") continue
      if (name.startsWith(".wh.")) {
        const hidden = path.slice(0, slash + 1) + name.slice(4)
        shown.delete(hidden)
        removeBeneath(hidden)
        shown.set(path, line)
        continue
      }
      shown.delete(`${path.slice(0, slash + 1)}.wh.${name}`)
      if (!line.startsWith("directory")) removeBeneath(path)
      shown.set(path, line)
    }
  }
  return Object.fromEntries([...shown].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
