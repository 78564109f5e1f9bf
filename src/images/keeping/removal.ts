// remove and prune, with Docker's rules of when a name goes, when the image goes, and when neither may.
import { crashPoint } from "../../base/crash-point.ts"
import { errorKind, failure } from "../../base/errors.ts"
import { shortId } from "../../base/ids.ts"
import { digestHex } from "../../oci/digest.ts"
import {
  familiarReference,
  parseReference,
  type Reference,
  repositoryOf,
  withDefaultTag,
} from "../../oci/reference.ts"
import type { Snapshotter } from "../../snapshots/snapshotter.ts"
import type { State } from "../../state/state.ts"
import type { Announce } from "../announce.ts"
import type { Catalog } from "../catalog.ts"
import type { Image, RemovedImage } from "../images.ts"
import type { Garbage } from "./garbage.ts"

/** Containers that were made from an image. */
export type Users = (imageId: string) => readonly { id: string; running: boolean }[]

export interface RemovalParts {
  readonly catalog: Catalog
  readonly garbage: Garbage
  readonly snapshots: Snapshotter
  readonly state: State
  readonly announce: Announce
}

interface Conflict {
  readonly message: string
  /** No force helps. */
  readonly hard: boolean
  /** A container is why. */
  readonly used: boolean
}

/** Whether all names are one tag and digests of the same repository. */
const isSingleReference = (names: readonly Reference[]): boolean => {
  if (names.length <= 1) return true
  const tags = names.filter((name) => name.digest === undefined)
  const digested = new Set(names.filter((name) => name.digest !== undefined).map(repositoryOf))
  const single = tags[0] ?? names[0]
  return tags.length <= 1 && digested.size === 1 && single !== undefined && digested.has(repositoryOf(single))
}

/** What forbids deleting an image; soft reasons only when they are asked for. */
const findConflict = (
  parts: RemovalParts,
  users: Users,
  id: string,
  soft: { names: boolean; stopped: boolean },
): Conflict | undefined => {
  if (parts.catalog.childrenOf(id).length > 0)
    return { message: "image has dependent child images", hard: true, used: false }
  const running = users(id).find((user) => user.running)
  if (running !== undefined)
    return {
      message: `image is being used by running container ${shortId(running.id)}`,
      hard: true,
      used: true,
    }
  if (soft.names && parts.catalog.namesOf(id).length > 0)
    return { message: "image is referenced in multiple repositories", hard: false, used: false }
  const stopped = soft.stopped ? users(id)[0] : undefined
  if (stopped !== undefined)
    return {
      message: `image is being used by stopped container ${shortId(stopped.id)}`,
      hard: false,
      used: true,
    }
  return undefined
}

const conflictFailure = (id: string, conflict: Conflict) =>
  failure(
    "conflict",
    `conflict: unable to delete ${shortId(id)} (${conflict.hard ? "cannot be forced" : "must be forced"}) - ${conflict.message}`,
  )

const untag = async (
  parts: RemovalParts,
  id: string,
  names: readonly Reference[],
  removed: RemovedImage[],
) => {
  for (const name of names) {
    parts.catalog.removeName(name)
    crashPoint("remove:untagged")
    removed.push({ untagged: familiarReference(name) })
    await parts.announce("untag", id, id)
  }
}

/** Deletes an image and, with `prune`, its parents that nobody needs. Quietly: a conflict only ends the work. */
const deleteImage = async (
  parts: RemovalParts,
  users: Users,
  id: string,
  options: { force: boolean; prune: boolean; quiet: boolean },
  removed: RemovedImage[],
): Promise<void> => {
  const { catalog, garbage, state, announce } = parts
  const conflict = findConflict(parts, users, id, { names: !options.force, stopped: !options.force })
  if (conflict !== undefined) {
    const dangling = catalog.namesOf(id).length === 0 && catalog.childrenOf(id).length === 0
    if (options.quiet && (!dangling || conflict.used)) return
    throw conflictFailure(id, conflict)
  }
  await untag(parts, id, catalog.namesOf(id), removed)
  const record = state.images.find(id)
  if (record === undefined) return
  await announce("delete", id, id)
  catalog.remove(id)
  crashPoint("remove:deleted")
  removed.push({ deleted: id })
  for (const chainId of garbage.unneeded(record.chainId)) removed.push({ deleted: chainId })
  garbage.release(record)
  if (options.prune && record.parent !== "" && state.images.find(record.parent) !== undefined)
    await deleteImage(parts, users, record.parent, { force: false, prune: true, quiet: true }, removed)
}

const isIdPrefix = (id: string, reference: string): boolean =>
  id.startsWith(reference) || digestHex(id).startsWith(reference)

/** As Images.remove. */
export const removeImage = async (
  parts: RemovalParts,
  reference: string,
  options: { force: boolean; prune: boolean },
  users: Users,
): Promise<RemovedImage[]> => {
  const { catalog } = parts
  const id = catalog.resolve(reference)
  const removed: RemovedImage[] = []
  const names = catalog.namesOf(id)

  if (isIdPrefix(id, reference)) {
    // By id, the one name goes with the image; several names in several repositories need force.
    if (isSingleReference(names)) {
      const conflict = findConflict(parts, users, id, { names: false, stopped: !options.force })
      if (conflict !== undefined) throw conflictFailure(id, conflict)
      await untag(parts, id, names, removed)
    }
    await deleteImage(parts, users, id, { ...options, quiet: false }, removed)
    return removed
  }

  const user = users(id)[0]
  if (!options.force && isSingleReference(names) && user !== undefined)
    throw failure(
      "conflict",
      `conflict: unable to remove repository reference ${JSON.stringify(reference)} (must force) - container ${shortId(user.id)} is using its referenced image ${shortId(id)}`,
    )
  const { tag, digest, ...bare } = withDefaultTag(parseReference(reference))
  const name: Reference =
    digest === undefined ? { ...bare, ...(tag === undefined ? {} : { tag }) } : { ...bare, digest }
  await untag(parts, id, [name], removed)
  // When the last tag of a repository goes, its digests go with it.
  const repository = repositoryOf(name)
  const same = catalog.namesOf(id).filter((other) => repositoryOf(other) === repository)
  if (digest === undefined && same.every((other) => other.digest !== undefined))
    await untag(parts, id, same, removed)
  if (catalog.namesOf(id).length > 0) return removed
  await deleteImage(parts, users, id, { ...options, quiet: true }, removed)
  return removed
}

/** Whether labels meet every condition: "key", "key=value", or either with "!" in front for its contrary. */
export const labelsMatch = (
  labels: Readonly<Record<string, string>>,
  conditions: readonly string[],
): boolean =>
  conditions.every((condition) => {
    const contrary = condition.startsWith("!")
    const [key = "", ...rest] = condition.slice(contrary ? 1 : 0).split("=")
    const met = Object.hasOwn(labels, key) && (rest.length === 0 || labels[key] === rest.join("="))
    return met !== contrary
  })

/** As Images.prune. */
export const pruneImages = async (
  parts: RemovalParts,
  images: readonly Image[],
  options: { all: boolean; until?: number; labels: readonly string[] },
  users: Users,
): Promise<{ removed: RemovedImage[]; reclaimed: number }> => {
  const { catalog, state } = parts
  // What comes back on the disk, where that was measured.
  const sizes = new Map(state.snapshots.list().map((record) => [record.key, record.disk ?? record.size]))
  const removed: RemovedImage[] = []
  for (const image of images) {
    const names = catalog.namesOf(image.id)
    if (catalog.childrenOf(image.id).length > 0 && (!options.all || names.length === 0)) continue
    if (options.until !== undefined && image.created > options.until) continue
    if (!labelsMatch(image.config.labels, options.labels)) continue
    if (!options.all && names.some((name) => name.digest === undefined)) continue
    const targets = names.length === 0 ? [digestHex(image.id)] : names.map(familiarReference)
    for (const target of targets) {
      try {
        removed.push(...(await removeImage(parts, target, { force: false, prune: true }, users)))
      } catch (error) {
        // In use, or gone with another one: it stays, as prune promises.
        if (errorKind(error) !== "conflict" && errorKind(error) !== "not-found") throw error
      }
    }
  }
  const reclaimed = removed.reduce((sum, { deleted }) => sum + (sizes.get(deleted ?? "") ?? 0), 0)
  return { removed, reclaimed }
}
