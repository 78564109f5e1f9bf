// The subnets that a network was asked to have: checked as Docker checks them, and what is missing chosen.
import { failure } from "../../base/errors.ts"
import type { NetworkRecord } from "../../state/state.ts"
import type { NetworkCreate } from "../network.ts"
import type { AddressPool } from "./address-pools.ts"
import { chooseSubnet } from "./address-pools.ts"
import { Addresses } from "./addresses.ts"
import type { Cidr, Family } from "./cidr.ts"
import { cidrText, familyOfAddress, holdsAddress, overlap, parseCidr, plainAddress } from "./cidr.ts"

type AskedPool = NetworkCreate["ipam"]["pools"][number]
export type Subnets = NetworkRecord["subnets"]

/** A block that is taken, and by whom, for the sentence of a refusal. */
export interface TakenBlock {
  readonly block: Cidr
  readonly by: string
}

const blockOrWrong = (what: string, text: string, wrong: string[]): Cidr | undefined => {
  try {
    const block = parseCidr(text)
    const plain = cidrText(block)
    const given = `${plainAddress(text.slice(0, text.lastIndexOf("/")))}/${block.prefixLength}`
    if (given !== plain) wrong.push(`invalid ${what} ${given}: it should be ${plain}`)
    return block
  } catch {
    wrong.push(`invalid ${what} ${text}: invalid CIDR block notation`)
    return undefined
  }
}

const rangeWrongs = (text: string, subnet: Cidr, wrong: string[]): void => {
  const range = blockOrWrong("ip-range", text, wrong)
  if (!range) return
  if (range.family !== subnet.family)
    wrong.push(`invalid ip-range ${text}: parent subnet is an IPv${subnet.family} block`)
  else if (range.prefixLength < subnet.prefixLength)
    wrong.push(`invalid ip-range ${text}: CIDR block is bigger than its parent subnet ${cidrText(subnet)}`)
  else if (!overlap(range, subnet))
    wrong.push(`invalid ip-range ${text}: parent subnet ${cidrText(subnet)} doesn't contain ip-range`)
}

const addressWrong = (address: string, subnet: Cidr): string | undefined => {
  const family = familyOfAddress(address)
  if (family === undefined) return "invalid address"
  if (family !== subnet.family) return `parent subnet is an IPv${subnet.family} block`
  return holdsAddress(subnet, address)
    ? undefined
    : `parent subnet ${cidrText(subnet)} doesn't contain this address`
}

/** What is wrong with one of the pools asked for, in Docker's words. */
const poolWrongs = (pool: AskedPool): string[] => {
  const wrong: string[] = []
  const subnet = blockOrWrong("subnet", pool.subnet ?? "", wrong)
  if (!subnet) return wrong
  if (pool.range) rangeWrongs(pool.range, subnet, wrong)
  const gateway = pool.gateway ? addressWrong(pool.gateway, subnet) : undefined
  if (gateway !== undefined) wrong.push(`invalid gateway ${pool.gateway}: ${gateway}`)
  for (const [name, address] of Object.entries(pool.auxiliary ?? {})) {
    const why = addressWrong(address, subnet)
    if (why !== undefined) wrong.push(`invalid auxiliary address ${name}: ${why}`)
  }
  return wrong
}

const isEmpty = (pool: AskedPool): boolean =>
  !pool.subnet && !pool.range && !pool.gateway && Object.keys(pool.auxiliary ?? {}).length === 0

/** The pools that were asked for, all of them found well-formed. Throws Failure "invalid" with every reason. */
export const checkPools = (request: NetworkCreate): readonly AskedPool[] => {
  const asked = request.ipam.pools.filter(
    (pool) => !isEmpty(pool) && (request.ipv6 || !pool.subnet?.includes(":")),
  )
  const wrong = asked.flatMap(poolWrongs)
  const text = wrong.length > 1 ? `* ${wrong.join("\n* ")}` : wrong.join("")
  if (wrong.length > 0) throw failure("invalid", `invalid network config:\n${text}`)
  return asked
}

export interface SubnetChoice {
  readonly asked: readonly AskedPool[]
  readonly families: readonly Family[]
  readonly pools: readonly AddressPool[]
  /** Blocks that a chosen subnet must not overlap. */
  readonly avoid: readonly Cidr[]
  /** Blocks that a subnet asked for must not overlap. */
  readonly taken: readonly TakenBlock[]
  /** Whether a subnet without a gateway gets one. */
  readonly withGateways: boolean
}

/** The subnets of a new network, with gateways. Throws Failure "forbidden" when one overlaps what is taken. */
export const settleSubnets = (choice: SubnetChoice): Subnets => {
  const asked = choice.asked.flatMap((pool) => {
    const subnet = parseCidr(pool.subnet ?? "")
    return choice.families.includes(subnet.family) ? [{ ...pool, block: subnet }] : []
  })
  for (const [index, { block }] of asked.entries()) {
    const own = asked
      .slice(0, index)
      .map((other) => ({ block: other.block, by: "another one of this network" }))
    const rival = [...choice.taken, ...own].find((other) => overlap(other.block, block))
    if (rival)
      throw failure(
        "forbidden",
        `invalid pool request: Pool overlaps with other one on this address space: ${cidrText(block)} and ${cidrText(rival.block)} of ${rival.by}`,
      )
  }
  const avoid = [...choice.avoid, ...choice.taken.map(({ block }) => block)]
  const chosen = choice.families
    .filter((family) => !asked.some(({ block }) => block.family === family))
    .map((family) => ({ block: chooseSubnet(choice.pools, family, avoid) }))
  return [...asked, ...chosen]
    .toSorted((one, other) => one.block.family - other.block.family)
    .map((pool) => settled(pool, choice.withGateways))
}

const settled = (pool: AskedPool & { readonly block: Cidr }, withGateway: boolean): Subnets[number] => {
  const { block, range, auxiliary } = pool
  return {
    subnet: cidrText(block),
    gateway: pool.gateway ? plainAddress(pool.gateway) : withGateway ? chooseGateway(pool) : "",
    ...(range ? { range: cidrText(parseCidr(range)) } : {}),
    ...(auxiliary && Object.keys(auxiliary).length > 0 ? { auxiliary } : {}),
    ...(pool.subnet ? {} : { chosen: true }),
    ...(pool.subnet && !pool.gateway && withGateway ? { gatewayChosen: true } : {}),
  }
}

const chooseGateway = (pool: AskedPool & { readonly block: Cidr }): string => {
  const addresses = new Addresses(pool.block, {
    ...(pool.range ? { range: parseCidr(pool.range) } : {}),
    reserved: Object.values(pool.auxiliary ?? {}),
  })
  const gateway = addresses.take()
  if (gateway === undefined)
    throw failure("exhausted", "failed to allocate gateway (): no available addresses on this pool")
  return gateway
}
