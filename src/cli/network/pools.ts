// --subnet, --ip-range, --gateway and --aux-address of network create, brought together by subnet.
import { errorMessage, failure } from "../../base/errors.ts"

export interface Pool {
  Subnet: string
  IPRange?: string
  Gateway?: string
  AuxiliaryAddresses: Record<string, string>
}

/** Leading bits of an address; node:net knows addresses too, but loading it takes 4 ms. */
function bitsOf(address: string): string | undefined {
  const four = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address)
  if (four) {
    const parts = four.slice(1).map(Number)
    if (parts.some((part) => part > 255)) return undefined
    return parts.map((part) => part.toString(2).padStart(8, "0")).join("")
  }
  if (!/^[0-9a-f:.]*:[0-9a-f:.]*$/i.test(address) || !URL.canParse(`http://[${address}]/`)) return undefined
  const text = new URL(`http://[${address}]/`).hostname.slice(1, -1)
  const [head = "", tail] = text.split("::")
  const groups = (part: string) => (part === "" ? [] : part.split(":"))
  const [first, last] = [groups(head), groups(tail ?? "")]
  const filler = tail === undefined ? [] : Array<string>(8 - first.length - last.length).fill("0")
  return [...first, ...filler, ...last]
    .map((group) => Number.parseInt(group, 16).toString(2).padStart(16, "0"))
    .join("")
}

function parseCidr(text: string): { bits: string; length: number } {
  const [address = "", prefix] = text.split("/")
  const bits = bitsOf(address)
  const length = Number(prefix)
  if (bits === undefined || prefix === undefined || !/^\d{1,3}$/.test(prefix) || length > bits.length)
    throw failure("invalid", `invalid CIDR address: ${text}`)
  return { bits, length }
}

/** Whether the subnet holds an address, or the first one of a block. */
function holds(subnet: string, text: string): boolean {
  let block: { bits: string; length: number }
  try {
    block = parseCidr(subnet)
  } catch (error) {
    throw failure("invalid", `invalid subnet: ${errorMessage(error)}`, { cause: error })
  }
  const bits = text.includes("/") ? parseCidr(text).bits : bitsOf(text)
  if (bits === undefined || bits.length !== block.bits.length) return false
  return bits.slice(0, block.length) === block.bits.slice(0, block.length)
}

/** StringSlice flags: each value may be several, separated by commas. */
export const eachOf = (values: readonly string[]): string[] => values.flatMap((value) => value.split(","))

/** IPAM's Config of a create request. Throws invalid in docker's words. */
export function readPools(asked: {
  readonly subnets: readonly string[]
  readonly ranges: readonly string[]
  readonly gateways: readonly string[]
  readonly auxiliary: Readonly<Record<string, string>>
}): Pool[] {
  const { subnets, ranges, gateways } = asked
  if (subnets.length < ranges.length || subnets.length < gateways.length)
    throw failure("invalid", "every ip-range or gateway must have a corresponding subnet")
  const pools: Pool[] = []
  for (const subnet of subnets) {
    if (pools.some(({ Subnet }) => holds(subnet, Subnet) || holds(Subnet, subnet)))
      throw failure("invalid", "multiple overlapping subnet configuration is not supported")
    pools.push({ Subnet: subnet, AuxiliaryAddresses: {} })
  }
  const within = (what: string, text: string): Pool[] => {
    const found = pools.filter(({ Subnet }) => holds(Subnet, text))
    if (found.length === 0) throw failure("invalid", `no matching subnet for ${what} ${text}`)
    return found
  }
  for (const range of ranges) {
    parseCidr(range)
    for (const pool of within("range", range)) {
      if (pool.IPRange !== undefined)
        throw failure(
          "invalid",
          `cannot configure multiple ranges (${range}, ${pool.IPRange}) on the same subnet (${pool.Subnet})`,
        )
      pool.IPRange = range
    }
  }
  for (const gateway of gateways)
    for (const pool of within("gateway", gateway)) {
      if (pool.Gateway !== undefined)
        throw failure(
          "invalid",
          `cannot configure multiple gateways (${gateway}, ${pool.Gateway}) for the same subnet (${pool.Subnet})`,
        )
      pool.Gateway = gateway
    }
  for (const [name, address] of Object.entries(asked.auxiliary))
    for (const pool of within("aux-address", address)) pool.AuxiliaryAddresses[name] = address
  return pools
}
