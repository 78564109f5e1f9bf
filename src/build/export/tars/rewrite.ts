// Changes a tar as it flows by: times no later than an epoch, all at one time, or everything beneath a directory.
import { changedBlocks, entryBytes, plainPath, type RawEntry, readRawTar, tarEnd } from "./raw-tar.ts"

/** Seconds, as exact as is needed to know whether one is later. */
const timesOf = ({ header, records }: RawEntry): number[] => {
  const digits = Buffer.from(header.subarray(136, 148))
    .toString("latin1")
    .replace(/[\0 ]+$/, "")
  const own = /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : 0
  const told = ["mtime", "atime", "ctime"].flatMap((key) => {
    const text = records.get(key)
    return text === undefined ? [] : [Number(text)]
  })
  return records.has("mtime") ? told : [own, ...told]
}

/** No time later than `epoch` (seconds): such entries get it, the others pass on byte for byte. */
export async function* clampTimes(tar: AsyncIterable<Uint8Array>, epoch: number): AsyncGenerator<Uint8Array> {
  for await (const entry of readRawTar(tar)) {
    const late = timesOf(entry).some((time) => time > epoch)
    yield* entryBytes(late ? changedBlocks(entry, { time: epoch }) : entry.blocks, entry.size, entry.body)
  }
  yield tarEnd
}

/** An entry as it goes out. Its bytes are to be taken before the next one is asked for. */
export interface TreeItem {
  /** From the root of the whole, without slashes at its ends; Latin-1 of the bytes. */
  readonly path: string
  readonly kind: string
  readonly bytes: AsyncIterable<Uint8Array>
}

/** Entries of a tree beneath `directory` ("" = as they are), all of one `time` in seconds unless that is undefined. */
export async function* itemsBeneath(
  tar: AsyncIterable<Uint8Array>,
  directory: string,
  time: number | undefined,
): AsyncGenerator<TreeItem> {
  for await (const entry of readRawTar(tar)) {
    const { kind, size, body } = entry
    const own = plainPath(entry.name)
    const name = directory === "" ? entry.name : `${directory}/${entry.name.replace(/^(\.?\/)+/, "")}`
    const link = kind === "1" && directory !== "" ? `${directory}/${plainPath(entry.link)}` : entry.link
    const same = directory === "" && time === undefined
    const change = { name, link, ...(time === undefined ? {} : { time }) }
    const bytes = entryBytes(same ? entry.blocks : changedBlocks(entry, change), size, body)
    yield { path: directory === "" ? own : `${directory}/${own}`, kind, bytes }
  }
}

/** Directories before what is in them, siblings by the bytes of their names: the order in which trees are received. */
export const treeOrder = (one: string, other: string): number => {
  const [a, b] = [one.replaceAll("/", "\0"), other.replaceAll("/", "\0")]
  return a < b ? -1 : a > b ? 1 : 0
}

/** Trees in order as one in order. A directory that several have is the first one's; `clash` hears of anything else. */
export async function* mergeItems(
  sources: readonly AsyncIterable<TreeItem>[],
  clash: (path: string, first: number, second: number) => void,
): AsyncGenerator<TreeItem> {
  const iterators = sources.map((source) => source[Symbol.asyncIterator]())
  const heads: (TreeItem | undefined)[] = []
  const advance = async (at: number): Promise<void> => {
    const next = await iterators[at]?.next()
    heads[at] = next === undefined || next.done === true ? undefined : next.value
  }
  try {
    for (const at of iterators.keys()) await advance(at)
    for (;;) {
      let first: TreeItem | undefined
      let from = -1
      for (const [at, head] of heads.entries())
        if (head !== undefined && (first === undefined || treeOrder(head.path, first.path) < 0)) {
          first = head
          from = at
        }
      if (first === undefined) return
      const { path, kind } = first
      for (const [at, head] of heads.entries()) {
        if (at === from || head?.path !== path) continue
        if (kind !== "5" || head.kind !== "5") clash(path, from, at)
        await advance(at)
      }
      yield first
      await advance(from)
    }
  } finally {
    for (const iterator of iterators) await iterator.return?.(undefined)
  }
}
