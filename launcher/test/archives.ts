// Packing and unpacking through a launcher, and looking at what lies on the disk, for the launcher's tests.
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs"
import { join } from "node:path"
import { connect, type Operation, type Report } from "./client.ts"

type Options = Readonly<Record<string, string>>

const optionsOf = (options: Options): Operation[] =>
  Object.entries(options).map(([key, value]): Operation => ["option", key, value])

/** Sends the operations, then the bytes as data frames of at most frameBytes, and gives the report. */
export async function upload(
  socket: string,
  operations: readonly Operation[],
  bytes: Uint8Array,
  frameBytes = 1 << 20,
): Promise<Report> {
  const connection = await connect(socket)
  try {
    connection.send(operations)
    for (let at = 0; at < bytes.length; at += frameBytes) connection.data(bytes.subarray(at, at + frameBytes))
    connection.data(Buffer.alloc(0))
    return await connection.report()
  } finally {
    connection.close()
  }
}

/** Unpacks an archive into a host directory. */
export const unpack = (
  socket: string,
  directory: string,
  archive: Uint8Array,
  options: Options = {},
): Promise<Report> =>
  upload(socket, [["unpack"], ["root-path", directory], ["at", "/"], ...optionsOf(options)], archive)

/** The report of a plan and the data that came before it, joined. */
export async function download(
  socket: string,
  operations: readonly Operation[],
): Promise<{ readonly report: Report; readonly data: Buffer }> {
  const connection = await connect(socket)
  const pieces: Buffer[] = []
  try {
    connection.send(operations)
    const report = await connection.report((piece) => pieces.push(Buffer.from(piece)))
    return { report, data: Buffer.concat(pieces) }
  } finally {
    connection.close()
  }
}

/** Packs a path of a host directory. Throws unless it works. */
export async function pack(
  socket: string,
  directory: string,
  path: string,
  options: Options = {},
): Promise<Buffer> {
  const { report, data } = await download(socket, [
    ["pack"],
    ["root-path", directory],
    ["path", path],
    ...optionsOf(options),
  ])
  if (report.kind !== "ok") throw new Error(report.fields.join(" "))
  return data
}

/** A fresh directory beneath parent that vanishes with its scope. */
export function freshDirectory(parent: string): Disposable & { readonly path: string } {
  mkdirSync(parent, { recursive: true })
  const path = mkdtempSync(join(parent, "d-"))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

/** One line for each file beneath a directory: everything lstat tells, link targets, contents, hard link groups. */
export function describeTree(directory: string): string[] {
  const lines: string[] = []
  const names = new Map<bigint, string>()
  const walk = (path: string): void => {
    const raws = readdirSync(Buffer.from(join(directory, path), "latin1"), { encoding: "buffer" })
    for (const raw of raws.sort(Buffer.compare)) {
      const name = join(path, raw.toString("latin1"))
      const file = Buffer.from(join(directory, name), "latin1")
      const stat = lstatSync(file, { bigint: true })
      const linked = !stat.isDirectory() && stat.nlink > 1n ? (names.get(stat.ino) ?? name) : ""
      names.set(stat.ino, linked)
      const content = stat.isFile() ? Bun.hash(readFileSync(file)).toString(16) : ""
      const target = stat.isSymbolicLink()
        ? readlinkSync(file, { encoding: "buffer" }).toString("latin1")
        : ""
      const size = stat.isDirectory() ? 0n : stat.size
      lines.push(
        [
          name,
          stat.mode.toString(8),
          stat.uid,
          stat.gid,
          size,
          stat.mtimeNs,
          stat.rdev,
          linked,
          content,
          target,
        ].join(" "),
      )
      if (stat.isDirectory()) walk(name)
    }
  }
  walk("")
  return lines.sort()
}
