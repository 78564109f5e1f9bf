// Cache mounts that travel with an exported cache: packed as tars of their files, taken in as whole directories or not at all.
import { randomBytes } from "node:crypto"
import { chmodSync, existsSync, mkdirSync, renameSync } from "node:fs"
import { join } from "node:path"
import { failure } from "../../base/errors.ts"
import { isJsonObject, parseJson } from "../../base/json-bounded.ts"
import type { CacheMountRecord } from "../../state/state.ts"
import type { BuildRooms } from "../rooms.ts"

type Rooms = Pick<BuildRooms, "kernel" | "root" | "state">

/** What another engine must know of a cache mount to give it to the same steps. */
export type TravellingMount = Pick<CacheMountRecord, "id" | "name" | "sharing" | "scope">

/** The files with their root, in an order that does not change. A step that changes them meanwhile may make it fail. */
export const packCacheMount = (
  { kernel, root }: Rooms,
  { directory }: Pick<CacheMountRecord, "directory">,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> =>
  kernel.receive(
    [["pack"], ["root-path", join(root, directory, "fs")], ["path", "/"], ["option", "numeric-sort", "yes"]],
    signal,
  )

/** As it is written into a cache's manifest. */
export const encodeMount = ({ id, name, sharing, scope }: TravellingMount): string =>
  JSON.stringify({ id, name, sharing, ...(scope === "" ? {} : { scope }) })

const isSharing = (value: unknown): value is CacheMountRecord["sharing"] =>
  value === "shared" || value === "private" || value === "locked"

/** Of somebody else's manifest: undefined when it is not what encodeMount writes. */
export const parseMount = (text: string): TravellingMount | undefined => {
  let value: unknown
  try {
    value = parseJson(Buffer.from(text), "a cache mount", 8192)
  } catch {
    return undefined
  }
  if (!isJsonObject(value)) return undefined
  const { id, name, sharing, scope = "" } = value
  if (typeof id !== "string" || !/^[0-9a-f]{32}(-[0-9]{1,3})?$/.test(id)) return undefined
  if (typeof name !== "string" || name.length > 4096 || !isSharing(sharing)) return undefined
  return typeof scope === "string" && scope.length <= 256 ? { id, name, sharing, scope } : undefined
}

/** Most bytes of a tar that is taken in: more than that is made to fill the disk. */
const largestMount = 2 ** 36

/** Makes it what steps find, unless one is there already: that one stays. Whether it came in. Throws when the tar is bad. */
export const takeInCacheMount = async (
  { kernel, root, state }: Rooms,
  mount: TravellingMount,
  tar: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<boolean> => {
  const parent = join(root, "cache-mounts")
  const directory = join(parent, mount.id)
  const isThere = () => state.cacheMounts.find(mount.id) !== undefined || existsSync(directory)
  if (isThere()) return false
  mkdirSync(parent, { recursive: true, mode: 0o700 })
  // Without a record it is cleared away at the next start.
  const arriving = join(parent, `arriving-${randomBytes(8).toString("hex")}`)
  mkdirSync(join(arriving, "fs"), { recursive: true, mode: 0o755 })
  chmodSync(arriving, 0o700)
  const discard = () => kernel.perform([["remove-tree"], ["path", arriving]])
  try {
    const unpack = [["unpack"], ["root-path", join(arriving, "fs")], ["at", "/"]] as const
    const options = [
      ["option", "whiteouts", "none"],
      ["option", "limit", String(largestMount)],
    ] as const
    await kernel.send([...unpack, ...options], tar, signal)
    // A step may have made its own meanwhile; from here to the record nothing waits.
    if (isThere()) {
      await discard()
      return false
    }
    renameSync(arriving, directory)
  } catch (error) {
    await discard().catch(() => {})
    signal.throwIfAborted()
    throw failure("invalid", `the cache mount ${mount.name || mount.id} cannot be taken in`, { cause: error })
  }
  const now = Date.now()
  const { id, name, sharing, scope } = mount
  state.cacheMounts.put(
    id,
    {
      ...{ id, name, sharing, scope, directory: join("cache-mounts", id) },
      ...{ createdAt: now, usedAt: now, uses: 0, bytes: 0 },
    },
    { durable: false },
  )
  return true
}
