// Reads a tar that lies in memory into one line of facts for each entry: enough to tell two layers apart, times aside.
import { createHash } from "node:crypto"

export interface TarFact {
  readonly path: string
  /** Bytes of the entry's own, for manifests and layers within an archive. */
  readonly body: Buffer
  /** "file 0644 0:0 12 sha256:…", "link -> target", "directory 0755 0:0" … */
  readonly line: string
}

const field = (block: Buffer, from: number, length: number): string => {
  const bytes = block.subarray(from, from + length)
  const end = bytes.indexOf(0)
  return bytes.subarray(0, end < 0 ? length : end).toString("utf8")
}

const number = (block: Buffer, from: number, length: number): number => {
  if (((block[from] ?? 0) & 0x80) !== 0) {
    let value = (block[from] ?? 0) & 0x3f
    for (let at = from + 1; at < from + length; at++) value = value * 256 + (block[at] ?? 0)
    return value
  }
  return Number.parseInt(field(block, from, length).trim() || "0", 8)
}

const records = (bytes: Buffer): Map<string, string> => {
  const found = new Map<string, string>()
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at)
    const length = Number(bytes.subarray(at, space).toString("latin1"))
    if (!(length > 0)) break
    const text = bytes.subarray(space + 1, at + length - 1).toString("utf8")
    const equals = text.indexOf("=")
    found.set(text.slice(0, equals), text.slice(equals + 1))
    at += length
  }
  return found
}

const kinds: Readonly<Record<string, string>> = {
  "0": "file",
  "\0": "file",
  "1": "hardlink",
  "2": "link",
  "3": "character",
  "4": "block",
  "5": "directory",
  "6": "fifo",
}

/** Entries in the archive's order; names without leading "./" and trailing "/". */
export const readTar = (tar: Buffer): TarFact[] => {
  const facts: TarFact[] = []
  let pax = new Map<string, string>()
  let longName: string | undefined
  let longLink: string | undefined
  for (let at = 0; at + 512 <= tar.length; ) {
    const block = tar.subarray(at, at + 512)
    at += 512
    if (block.every((byte) => byte === 0)) continue
    const type = String.fromCharCode(block[156] ?? 0)
    const size = Number(pax.get("size") ?? number(block, 124, 12))
    const body = tar.subarray(at, at + size)
    at += Math.ceil(size / 512) * 512
    if (type === "x" || type === "g") {
      if (type === "x") pax = records(body)
      continue
    }
    if (type === "L" || type === "K") {
      const text = body.toString("utf8").replace(/\0+$/, "")
      if (type === "L") longName = text
      else longLink = text
      continue
    }
    const prefix = field(block, 257, 6).startsWith("ustar") && block[262] === 0 ? field(block, 345, 155) : ""
    const short = field(block, 0, 100)
    const name = pax.get("path") ?? longName ?? (prefix === "" ? short : `${prefix}/${short}`)
    const target = pax.get("linkpath") ?? longLink ?? field(block, 157, 100)
    facts.push({
      path: name.replace(/^\.?\/+/, "").replace(/\/+$/, ""),
      body,
      line: /(^|\/)\.wh\./.test(name)
        ? "whiteout"
        : factLine(block, kinds[type] ?? `type ${type}`, size, body, target, pax),
    })
    pax = new Map()
    longName = undefined
    longLink = undefined
  }
  return facts
}

const factLine = (
  block: Buffer,
  kind: string,
  size: number,
  body: Buffer,
  target: string,
  pax: ReadonlyMap<string, string>,
): string => {
  const mode = (number(block, 100, 8) & 0o7777).toString(8).padStart(4, "0")
  const uid = pax.get("uid") ?? number(block, 108, 8)
  const gid = pax.get("gid") ?? number(block, 116, 8)
  const attributes = [...pax]
    .filter(([key]) => key.startsWith("SCHILY.xattr."))
    .map(([key, value]) => ` ${key.slice(13)}=${Buffer.from(value).toString("hex")}`)
    .toSorted()
    .join("")
  if (kind === "link") return `link ${uid}:${gid} -> ${target}${attributes}`
  if (kind === "hardlink") return `hardlink -> ${target.replace(/^\.?\/+/, "")}`
  const owned = `${kind} ${mode} ${uid}:${gid}`
  if (kind === "file") {
    const digest = createHash("sha256").update(body).digest("hex").slice(0, 16)
    return `${owned} ${size} ${digest}${attributes}`
  }
  if (kind === "character" || kind === "block")
    return `${owned} ${number(block, 329, 8)},${number(block, 337, 8)}${attributes}`
  return `${owned}${attributes}`
}
