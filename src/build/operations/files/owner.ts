// --chown: numbers as they are, names looked up in the root that is being built.
import { failure } from "../../../base/errors.ts"
import { readTar } from "../../../base/tar-reader.ts"
import { rootOperation } from "../../../kernel/mount.ts"
import type { BuildRooms } from "../../rooms.ts"
import { isFile } from "../../sources/local/scan.ts"
import type { LayersTree } from "../operations.ts"
import type { Owner } from "./copy.ts"
import type { Target } from "./target.ts"

const largestId = 0x7fffffff
const largestTable = 4 << 20

const idOf = (text: string): number | undefined => {
  if (!/^(0|[1-9][0-9]{0,9})$/.test(text)) return undefined
  const id = Number(text)
  return id <= largestId ? id : undefined
}

/** A table of the root as text, "" when there is none. */
const readTable = async (
  rooms: BuildRooms,
  root: LayersTree,
  path: string,
  target: Target,
  signal: AbortSignal,
): Promise<string> => {
  const at = await target.follow(path)
  const node = await target.find(at)
  if (node === undefined || !isFile(node.mode)) return ""
  if (node.body?.kind === "bytes") return Buffer.from(node.body.bytes).toString("utf8")
  const { kernel, snapshots } = rooms
  const file = node.body
  const from = file === undefined ? rootOperation(snapshots.view(root.chainId)) : file.source.root
  const place = file === undefined ? at : file.entry.path
  const tar = kernel.receive([["pack"], from, ["path", `/${place}`], ["option", "name", "table"]], signal)
  for await (const entry of readTar(tar)) {
    if (entry.size > largestTable) return ""
    const chunks: Uint8Array[] = []
    for await (const chunk of entry.body) chunks.push(chunk)
    return Buffer.concat(chunks).toString("utf8")
  }
  return ""
}

const lineOf = (table: string, name: string): string[] | undefined =>
  table
    .split("\n")
    .map((line) => line.split(":"))
    .find((fields) => fields[0] === name)

const lookUp = (table: string, name: string, what: "user" | "group", file: string): string[] => {
  const fields = lineOf(table, name)
  if (fields === undefined || idOf(fields[2] ?? "") === undefined)
    throw failure("invalid", `unable to find ${what} ${name}: no matching entries in ${file} file`)
  return fields
}

/** "" = nobody says. A user without group has the user's own group, a number alone is both. Throws invalid for names that the root does not know. */
export const findOwner = async (
  rooms: BuildRooms,
  root: LayersTree,
  text: string,
  target: Target,
  signal: AbortSignal,
): Promise<Owner | undefined> => {
  if (text === "") return undefined
  const colon = text.indexOf(":")
  const [user, group] = colon < 0 ? [text, undefined] : [text.slice(0, colon), text.slice(colon + 1)]
  if (/^[0-9]+$/.test(user) && idOf(user) === undefined)
    throw failure("invalid", `uids and gids must be in range 0-${largestId}: "${text}"`)
  if (group !== undefined && /^[0-9]+$/.test(group) && idOf(group) === undefined)
    throw failure("invalid", `uids and gids must be in range 0-${largestId}: "${text}"`)
  let uid = idOf(user === "" ? "0" : user)
  let gid = group === undefined || group === "" ? undefined : idOf(group)
  if (uid === undefined) {
    const fields = lookUp(await readTable(rooms, root, "etc/passwd", target, signal), user, "user", "passwd")
    uid = idOf(fields[2] ?? "") ?? 0
    if (group === undefined || group === "") gid = idOf(fields[3] ?? "")
  }
  if (gid === undefined && group !== undefined && group !== "")
    gid = idOf(
      lookUp(await readTable(rooms, root, "etc/group", target, signal), group, "group", "group")[2] ?? "",
    )
  return { uid, gid: gid ?? uid }
}
