// Where networks get their subnets when none is asked for: pools that are split into subnets of one size.
import { createHash } from "node:crypto"
import { failure } from "../../base/errors.ts"
import type { Cidr, Family } from "./cidr.ts"
import { blockAround, overlap, parseCidr, sizeOf } from "./cidr.ts"

/** A block of addresses and the prefix length of the subnets it is split into. */
export interface AddressPool {
  readonly base: Cidr
  readonly size: number
}

const pool = (base: string, size: number): AddressPool => ({ base: parseCidr(base), size })

/** Docker's: 172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/16 in steps of /20. */
export const defaultPools: readonly AddressPool[] = [
  ...Array.from({ length: 15 }, (_, index) => pool(`172.${17 + index}.0.0/16`, 16)),
  pool("192.168.0.0/16", 20),
]

/** The engine's own private IPv6 block (RFC 4193), the same for the same identity: fd, 40 bits of a hash, /48. */
export const privatePool = (identity: string): AddressPool => {
  const hash = createHash("sha256").update(identity).digest("hex")
  const first = BigInt(`0xfd${hash.slice(0, 10)}`) << 80n
  return { base: blockAround(6, first, 48), size: 64 }
}

/**
 * "base=10.10.0.0/16,size=24" as dockerd's flag has it, or a CIDR alone, which is one subnet. Throws Failure "invalid".
 */
export const parsePool = (text: string): AddressPool => {
  if (!text.includes("=")) {
    const base = parseCidr(text)
    return { base, size: base.prefixLength }
  }
  const fields = new Map(
    text.split(",").map((field) => {
      const at = field.indexOf("=")
      return [field.slice(0, at).trim().toLowerCase(), field.slice(at + 1).trim()] as const
    }),
  )
  const unknown = [...fields.keys()].find((key) => key !== "base" && key !== "size")
  if (unknown !== undefined) throw failure("invalid", `unexpected key '${unknown}' in '${text}'`)
  const base = parseCidr(fields.get("base") ?? "")
  const size = Number(fields.get("size"))
  const largest = base.family === 4 ? 32 : 128
  if (!Number.isInteger(size) || size < base.prefixLength || size > largest)
    throw failure(
      "invalid",
      `invalid default address pool ${text}: size must be a prefix length from ${base.prefixLength} to ${largest}`,
    )
  return { base, size }
}

/** The first subnet of a pool that overlaps nothing of `used`. */
const firstFree = ({ base, size }: AddressPool, used: readonly Cidr[]): Cidr | undefined => {
  const end = base.base + sizeOf(base)
  for (let candidate = blockAround(base.family, base.base, size); candidate.base < end; ) {
    const rival = used.find((other) => overlap(candidate, other))
    if (!rival) return candidate
    const past = [rival, candidate].reduce((most, block) => {
      const after = block.base + sizeOf(block)
      return after > most ? after : most
    }, 0n)
    const step = sizeOf(candidate)
    candidate = { ...candidate, base: ((past + step - 1n) / step) * step }
  }
  return undefined
}

/** A subnet of a family that overlaps nothing of what is used. Throws Failure "invalid" when all are taken, as Docker does. */
export const chooseSubnet = (pools: readonly AddressPool[], family: Family, used: readonly Cidr[]): Cidr => {
  for (const candidate of pools) {
    const free = candidate.base.family === family ? firstFree(candidate, used) : undefined
    if (free) return free
  }
  throw failure("invalid", "all predefined address pools have been fully subnetted")
}
