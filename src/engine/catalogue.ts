// Containers by id, unique id prefix and name; the only place that writes container records.
import { failure } from "../base/errors.ts"
import { shortId } from "../base/ids.ts"
import type { ContainerRecord, State, WriteOptions } from "../state/state.ts"

export interface Catalogue {
  find(reference: string): ContainerRecord | undefined
  /** Throws not-found, or invalid when an id prefix fits several. */
  get(reference: string): ContainerRecord
  /** A container that a new one refers to: its absence is the request's fault, and no missing image. */
  required(reference: string): ContainerRecord
  list(): ContainerRecord[]
  /** The id that holds a name. */
  holder(name: string): string | undefined
  /** Takes a name for an id. Throws conflict in Docker's words. */
  reserve(name: string, id: string): void
  unreserve(name: string, id: string): void
  /** Durable unless the container is removed at its end anyway, or said otherwise. */
  put(record: ContainerRecord, options?: WriteOptions): void
  /** Changes fields of a record that exists; undefined when it is gone. */
  change(id: string, changes: Partial<ContainerRecord>, options?: WriteOptions): ContainerRecord | undefined
  /** Removes the record and frees the name. */
  remove(id: string, options?: WriteOptions): void
}

/** How a container's writes are kept: power loss removes an auto-removed one, so it need not reach the disk. */
export const durability = (record: ContainerRecord): WriteOptions => ({ durable: !record.config.autoRemove })

export const createCatalogue = (state: State): Catalogue => {
  const names = new Map<string, string>()
  for (const record of state.containers.list()) names.set(record.name, record.id)

  const find = (reference: string): ContainerRecord | undefined => {
    if (reference === "") return undefined
    const exact = state.containers.find(reference)
    if (exact !== undefined) return exact
    const named = names.get(reference.startsWith("/") ? reference.slice(1) : reference)
    if (named !== undefined) return state.containers.find(named)
    if (!/^[0-9a-f]{1,63}$/.test(reference)) return undefined
    const matches = state.containers.list().filter((record) => record.id.startsWith(reference))
    if (matches.length > 1) throw failure("invalid", `multiple IDs found with provided prefix: ${reference}`)
    return matches[0]
  }

  const put = (record: ContainerRecord, options: WriteOptions = durability(record)): void =>
    state.containers.put(record.id, record, options)

  return {
    find,
    get(reference) {
      const found = find(reference)
      if (found === undefined) throw failure("not-found", `No such container: ${reference}`)
      return found
    },
    required(reference) {
      const found = find(reference)
      if (found === undefined) throw failure("invalid", `No such container: ${reference}`)
      return found
    },
    list: () => state.containers.list(),
    holder: (name) => names.get(name),
    reserve(name, id) {
      const holder = names.get(name)
      if (holder !== undefined && holder !== id) {
        throw failure(
          "conflict",
          `Conflict. The container name "/${name}" is already in use by container "${holder}". You have to remove (or rename) that container to be able to reuse that name.`,
        )
      }
      names.set(name, id)
    },
    unreserve(name, id) {
      if (names.get(name) === id) names.delete(name)
    },
    put,
    change(id, changes, options) {
      const record = state.containers.find(id)
      if (record === undefined) return undefined
      const changed = { ...record, ...changes }
      put(changed, options ?? durability(changed))
      return changed
    },
    remove(id, options) {
      const record = state.containers.find(id)
      if (record === undefined) return
      state.containers.remove(id, options ?? durability(record))
      if (names.get(record.name) === id) names.delete(record.name)
    },
  }
}

export const describeContainer = (record: ContainerRecord): string => `${record.name} (${shortId(record.id)})`
