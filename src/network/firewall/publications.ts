// Published ports that follow each other are one publication: one element of the table where they are the same inside.
import type { Publication } from "./guard.ts"

const rank = (one: Publication, other: Publication): number =>
  one.protocol.localeCompare(other.protocol) ||
  one.hostAddress.localeCompare(other.hostAddress) ||
  one.address.localeCompare(other.address) ||
  one.hostPort - other.hostPort

const follows = (before: Publication, next: Publication): boolean => {
  const { count = 1 } = before
  return (
    before.protocol === next.protocol &&
    before.hostAddress === next.hostAddress &&
    before.address === next.address &&
    before.hostPort + count === next.hostPort &&
    before.port + count === next.port &&
    String(before.otherSubnets) === String(next.otherSubnets)
  )
}

/** The same ports in as few publications as can be. */
export const mergePublications = (publications: readonly Publication[]): Publication[] => {
  const merged: Publication[] = []
  for (const next of publications.toSorted(rank)) {
    const before = merged.at(-1)
    if (before && follows(before, next))
      merged[merged.length - 1] = { ...before, count: (before.count ?? 1) + (next.count ?? 1) }
    else merged.push(next)
  }
  return merged
}
