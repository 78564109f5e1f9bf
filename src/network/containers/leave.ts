// A container leaves: what join() gave is taken back, without anybody waiting for the kernel.
import { errorMessage } from "../../base/errors.ts"
import type { Room } from "../room.ts"
import { segmentOf } from "../room.ts"
import type { Segment } from "../segment.ts"
import { givenAddresses } from "./lease.ts"
import { unpublishSoon } from "./publishing.ts"

/** See Networks.joined. */
export const joined = (room: Room, text: string): void => {
  const member = room.members.find(text)
  if (!member?.launching) return
  member.launching = false
  for (const segment of room.segments.values()) segment.pool.end(text)
  // The container's processes keep the namespace from here on.
  room.held.dropSoon(member.lease.held)
}

/** See Networks.ended. */
export const ended = (room: Room, text: string): void => {
  const member = room.members.find(text)
  if (member) member.ended = true
}

/** See Networks.leave. */
export const leave = async (room: Room, text: string): Promise<void> => {
  const member = room.members.find(text)
  if (!member) return
  room.members.remove(text)
  const { lease } = member
  room.ports.release(lease.container, lease.ports)
  if (!room.members.list().some((other) => other.lease.container === lease.container))
    room.names?.remove(lease.container)
  for (const endpoint of lease.endpoints)
    segmentOf(room, endpoint)?.depart(endpoint.link, givenAddresses(endpoint))
  if (member.launching) {
    for (const segment of room.segments.values()) segment.pool.end(text)
    await room.held.drop([lease.held]).catch(() => undefined)
    // A launch that failed may mean that the launcher is a new one, which holds nothing: a second try must not
    // be given another of its predecessor's namespaces.
    await checkPools(room)
  }
  unpublishSoon(room, member.publications)
}

const checkPools = async (room: Room): Promise<void> => {
  try {
    const held = new Set(await room.held.list())
    for (const segment of room.segments.values()) checkPool(segment, held)
  } catch (error) {
    room.warn(`could not ask the launcher for its namespaces: ${errorMessage(error)}`)
  }
}

const checkPool = (segment: Segment, held: ReadonlySet<string>): void => {
  for (const gone of segment.pool.keepOnly(held)) segment.depart(gone.link, gone.addresses)
  segment.pool.schedule()
}
