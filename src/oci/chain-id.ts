// The chainID: names a stack of layers by the diffIDs in it, and so a snapshot.
import { createHash } from "node:crypto"

/** The chainID of one more layer on a stack; "" is the empty stack. */
export const extendChain = (chainId: string, diffId: string): string =>
  chainId === "" ? diffId : `sha256:${createHash("sha256").update(`${chainId} ${diffId}`).digest("hex")}`

/** The chainIDs of a stack from its lowest layer to its top. */
export const chainIds = (diffIds: readonly string[]): string[] => {
  const ids: string[] = []
  let chainId = ""
  for (const diffId of diffIds) {
    chainId = extendChain(chainId, diffId)
    ids.push(chainId)
  }
  return ids
}

/** The chainID of a whole stack, "" for none. */
export const chainIdOf = (diffIds: readonly string[]): string => chainIds(diffIds).at(-1) ?? ""
