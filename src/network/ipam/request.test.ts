// Subnets as asked for: what is refused and in which words, what is chosen where nothing was said.
import { expect, test } from "bun:test"
import { errorKind, errorMessage } from "../../base/errors.ts"
import type { NetworkCreate } from "../network.ts"
import { defaultPools, privatePool } from "./address-pools.ts"
import { parseCidr } from "./cidr.ts"
import type { SubnetChoice } from "./request.ts"
import { checkPools, settleSubnets } from "./request.ts"

type Pools = NetworkCreate["ipam"]["pools"]
const request = (pools: Pools, ipv6 = false): NetworkCreate => ({
  name: "n",
  driver: "bridge",
  internal: false,
  attachable: false,
  ipv4: true,
  ipv6,
  options: {},
  labels: {},
  ipam: { driver: "default", options: {}, pools },
})
const choice = (asked: Pools, more: Partial<SubnetChoice> = {}): SubnetChoice => ({
  asked,
  families: [4],
  pools: [...defaultPools, privatePool("test")],
  avoid: [],
  taken: [],
  withGateways: true,
  ...more,
})
const refusal = (work: () => unknown): [string, string] => {
  try {
    work()
  } catch (error) {
    return [errorKind(error), errorMessage(error)]
  }
  return ["none", ""]
}

test("every malformed part is named, in Docker's words", () => {
  const cases: [Pools[number], string][] = [
    [{ subnet: "10.0.0.0/33" }, "invalid subnet 10.0.0.0/33: invalid CIDR block notation"],
    [{ gateway: "10.0.0.1" }, "invalid subnet : invalid CIDR block notation"],
    [{ subnet: "10.0.0.9/24" }, "invalid subnet 10.0.0.9/24: it should be 10.0.0.0/24"],
    [{ subnet: "10.0.0.0/24", range: "x" }, "invalid ip-range x: invalid CIDR block notation"],
    [
      { subnet: "10.0.0.0/24", range: "fd00::/64" },
      "invalid ip-range fd00::/64: parent subnet is an IPv4 block",
    ],
    [
      { subnet: "10.0.0.0/24", range: "10.0.0.0/16" },
      "invalid ip-range 10.0.0.0/16: CIDR block is bigger than its parent subnet 10.0.0.0/24",
    ],
    [
      { subnet: "10.0.0.0/24", range: "10.0.0.3/25" },
      "invalid ip-range 10.0.0.3/25: it should be 10.0.0.0/25",
    ],
    [{ subnet: "10.0.0.0/24", gateway: "me" }, "invalid gateway me: invalid address"],
    [
      { subnet: "10.0.0.0/24", gateway: "fd00::1" },
      "invalid gateway fd00::1: parent subnet is an IPv4 block",
    ],
    [
      { subnet: "10.0.0.0/24", auxiliary: { nas: "10.0.1.1" } },
      "invalid auxiliary address nas: parent subnet 10.0.0.0/24 doesn't contain this address",
    ],
  ]
  for (const [pool, words] of cases)
    expect(refusal(() => checkPools(request([pool])))).toEqual([
      "invalid",
      `invalid network config:\n${words}`,
    ])
  const two = refusal(() => checkPools(request([{ subnet: "x" }, { subnet: "y" }])))
  expect(two[1]).toBe(
    "invalid network config:\n* invalid subnet x: invalid CIDR block notation\n* invalid subnet y: invalid CIDR block notation",
  )
  expect(checkPools(request([{}, { subnet: "fd00::/64" }]))).toEqual([])
  expect(checkPools(request([{ subnet: "fd00::/64" }], true))).toHaveLength(1)
})

test("a subnet that is taken is refused, with whose it is", () => {
  const taken = [{ block: parseCidr("10.1.0.0/16"), by: "network blue" }]
  expect(refusal(() => settleSubnets(choice([{ subnet: "10.1.2.0/24" }], { taken })))).toEqual([
    "forbidden",
    "invalid pool request: Pool overlaps with other one on this address space: 10.1.2.0/24 and 10.1.0.0/16 of network blue",
  ])
  const twice = [{ subnet: "10.2.0.0/24" }, { subnet: "10.2.0.0/25" }]
  expect(refusal(() => settleSubnets(choice(twice)))[1]).toContain("another one of this network")
})

test("what is missing is chosen: subnets from the pools, gateways from range or subnet", () => {
  expect(settleSubnets(choice([], { avoid: [parseCidr("172.17.0.0/16")] }))).toEqual([
    { subnet: "172.18.0.0/16", gateway: "172.18.0.1", chosen: true },
  ])
  const asked = [{ subnet: "10.3.0.0/16", range: "10.3.5.0/24", auxiliary: { nas: "10.3.5.0" } }]
  expect(settleSubnets(choice(asked))).toEqual([
    {
      subnet: "10.3.0.0/16",
      gateway: "10.3.5.1",
      gatewayChosen: true,
      range: "10.3.5.0/24",
      auxiliary: { nas: "10.3.5.0" },
    },
  ])
  const both = settleSubnets(choice([{ subnet: "10.4.0.0/24" }], { families: [4, 6], withGateways: false }))
  expect(both.map(({ gateway }) => gateway)).toEqual(["", ""])
  expect(both[1]?.subnet).toMatch(/^fd/)
})
