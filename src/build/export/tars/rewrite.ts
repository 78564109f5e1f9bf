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

export interface Placing {
  /** Goes before all names; "" = none. */
  readonly directory: string
  /** Every time, in seconds; undefined = as they are. */
  readonly time: number | undefined
  /** Sees every entry before it goes; may give its body another way round. */
  readonly visit: (path: string, entry: RawEntry) => AsyncIterable<Uint8Array>
}

/** Entries of a tree that is a part of another; without the end of the archive. */
export async function* entriesBeneath(
  tar: AsyncIterable<Uint8Array>,
  { directory, time, visit }: Placing,
): AsyncGenerator<Uint8Array> {
  for await (const entry of readRawTar(tar)) {
    const body = visit(plainPath(entry.name), entry)
    const name = directory === "" ? entry.name : `${directory}/${entry.name.replace(/^(\.?\/)+/, "")}`
    const link = entry.kind === "1" && directory !== "" ? `${directory}/${plainPath(entry.link)}` : entry.link
    const same = directory === "" && time === undefined
    const change = { name, link, ...(time === undefined ? {} : { time }) }
    yield* entryBytes(same ? entry.blocks : changedBlocks(entry, change), entry.size, body)
  }
}
