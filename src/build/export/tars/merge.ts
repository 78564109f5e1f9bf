// Several layers as one: what the upper ones replace or hide is left out, whiteouts go on for what lies beneath them all.
import { failure } from "../../../base/errors.ts"
import type { LayerBytes } from "../../../images/images.ts"
import { changedBlocks, entryBytes, plainPath, type RawEntry, readRawTar, tarEnd } from "./raw-tar.ts"

const whiteoutPrefix = ".wh."
const opaqueName = ".wh..wh..opq"

/** What is known of an entry without its body. */
interface Seen {
  readonly path: string
  readonly kind: string
  /** Path of a hard link's target. */
  readonly target: string
}

const parentOf = (path: string): string => path.slice(0, Math.max(path.lastIndexOf("/"), 0))
const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1)

/** What the layers above say of the paths beneath them. */
class Cover {
  /** Paths at which nothing of the lower layers shows, themselves included. */
  readonly #gone = new Set<string>()
  /** Directories of which nothing of the lower layers shows. */
  readonly #opaque = new Set<string>()
  readonly #directories = new Set<string>()

  hides(path: string): boolean {
    if (this.#gone.has(path)) return true
    for (let at = path; at !== ""; ) {
      at = parentOf(at)
      if (this.#gone.has(at) || this.#opaque.has(at)) return true
    }
    return false
  }
  isDirectory(path: string): boolean {
    return this.#directories.has(path)
  }
  isOpaque(path: string): boolean {
    return this.#opaque.has(path)
  }
  addGone(path: string): void {
    this.#gone.add(path)
  }
  addOpaque(path: string): void {
    this.#opaque.add(path)
  }
  addDirectory(path: string): void {
    this.#directories.add(path)
  }
}

/** How one layer's entries go into the whole, by their place in it. */
interface Chosen {
  /** Entries that stay. */
  readonly keep: ReadonlySet<number>
  /** A file whose own name is gone and that goes on under that of its first link which stays. */
  readonly renamed: ReadonlyMap<number, string>
  /** Links that follow such a file, and the link that carries it. */
  readonly relinked: ReadonlyMap<number, string>
  readonly carried: ReadonlySet<number>
}

/** Most entries of all layers together: what is held of each is its path. */
const mostEntries = 4_000_000

const scan = async (layer: LayerBytes): Promise<Seen[]> => {
  const seen: Seen[] = []
  for await (const { name, kind, link } of readRawTar(layer.open(0))) {
    seen.push({ path: plainPath(name), kind, target: kind === "1" ? plainPath(link) : "" })
    if (seen.length > mostEntries)
      throw failure("exhausted", `cannot squash: a layer has more than ${mostEntries} files`)
  }
  return seen
}

/** Hard links whose target's name does not stay take its body on. */
const followLinks = (entries: readonly Seen[], keep: ReadonlySet<number>) => {
  const at = new Map<string, number>()
  for (const [place, { path, kind }] of entries.entries()) if (kind !== "1") at.set(path, place)
  const renamed = new Map<number, string>()
  const relinked = new Map<number, string>()
  const carried = new Set<number>()
  for (const [place, { path, kind, target }] of entries.entries()) {
    const body = kind === "1" && keep.has(place) ? at.get(target) : undefined
    if (body === undefined || keep.has(body)) continue
    const carrier = renamed.get(body)
    if (carrier === undefined) {
      renamed.set(body, path)
      carried.add(place)
    } else relinked.set(place, carrier)
  }
  return { renamed, relinked, carried }
}

/** `opaque` and `whiteouts` collect what must still be said of the layers beneath all of these. */
const choose = (
  entries: readonly Seen[],
  cover: Cover,
  whiteouts: Set<string>,
  opaque: Set<string>,
): Chosen => {
  const keep = new Set<number>()
  const own: (() => void)[] = []
  // Made anew in the layer that takes it away: a directory is opaque then, anything else stands for itself.
  const made = new Map(entries.map(({ path, kind }) => [path, kind]))
  const replaceAll = (path: string): void => {
    // A directory above stands where something else stood: nothing of what lay there before shows through.
    if (!cover.isOpaque(path)) opaque.add(path)
    own.push(() => cover.addOpaque(path))
  }
  for (const [place, { path, kind }] of entries.entries()) {
    const name = nameOf(path)
    if (name === opaqueName) {
      const directory = parentOf(path)
      if (!cover.hides(directory)) replaceAll(directory)
      continue
    }
    if (name.startsWith(whiteoutPrefix)) {
      const directory = parentOf(path)
      const bare = name.slice(whiteoutPrefix.length)
      const target = directory === "" ? bare : `${directory}/${bare}`
      if (cover.hides(target)) continue
      if (cover.isDirectory(target) || made.get(target) === "5") replaceAll(target)
      else if (made.has(target)) continue
      else {
        whiteouts.add(target)
        own.push(() => cover.addGone(target))
      }
      continue
    }
    if (cover.hides(path)) continue
    if (cover.isDirectory(path)) {
      if (kind !== "5") replaceAll(path)
      continue
    }
    keep.add(place)
    own.push(() => (kind === "5" ? cover.addDirectory(path) : cover.addGone(path)))
  }
  // What a layer says holds for those beneath it, not for itself.
  for (const say of own) say()
  return { keep, ...followLinks(entries, keep) }
}

/** The whiteout of a path. */
const marker = (path: string): string => {
  const directory = parentOf(path)
  return `${directory === "" ? "" : `${directory}/`}${whiteoutPrefix}${nameOf(path)}`
}

const blank = (): RawEntry => ({
  blocks: new Uint8Array(0),
  header: (() => {
    const header = Buffer.alloc(512)
    header.write("0000000\x000000000\x000000000\x0000000000000\x0000000000000\0", 100, "latin1")
    header[156] = 0x30
    return header
  })(),
  records: new Map(),
  ...{ kind: "0", name: "", link: "", size: 0, offset: 0 },
  body: (async function* () {})(),
})

/**
 * The layers (lowest first) as the bytes of one. `shows` tells whether a path is there beneath them all, so that only
 * whiteouts that hide something are written. The same layers give the same bytes.
 */
export async function* mergeLayers(
  layers: readonly LayerBytes[],
  shows: (path: string) => Promise<boolean>,
): AsyncGenerator<Uint8Array> {
  const cover = new Cover()
  const whiteouts = new Set<string>()
  const opaque = new Set<string>()
  const chosen: Chosen[] = []
  for (const layer of layers.toReversed()) chosen.unshift(choose(await scan(layer), cover, whiteouts, opaque))
  // Directories first, as files of a lower layer may lie in those of an upper one.
  const directories = new Map<string, Uint8Array>()
  for (const [at, layer] of layers.entries()) {
    let place = -1
    for await (const entry of readRawTar(layer.open(0))) {
      place++
      if (entry.kind === "5" && chosen[at]?.keep.has(place))
        directories.set(plainPath(entry.name), entry.blocks)
    }
  }
  for (const path of [...directories.keys()].toSorted()) yield directories.get(path) ?? new Uint8Array(0)
  for (const path of [...whiteouts].toSorted())
    if (await shows(path)) yield changedBlocks(blank(), { name: marker(path) })
  for (const path of [...opaque].toSorted())
    if (await shows(path))
      yield changedBlocks(blank(), { name: `${path === "" ? "" : `${path}/`}${opaqueName}` })
  for (const [at, layer] of layers.entries()) {
    const own = chosen[at]
    let place = -1
    for await (const entry of readRawTar(layer.open(0))) {
      place++
      if (own === undefined || entry.kind === "5") continue
      const name = own.renamed.get(place)
      const link = own.relinked.get(place)
      if (name !== undefined) yield* entryBytes(changedBlocks(entry, { name }), entry.size, entry.body)
      else if (link !== undefined) yield changedBlocks(entry, { link })
      else if (own.keep.has(place) && !own.carried.has(place))
        yield* entryBytes(entry.blocks, entry.size, entry.body)
    }
  }
  yield tarEnd
}
