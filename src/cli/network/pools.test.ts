// Subnets, ranges, gateways and auxiliary addresses of network create, brought together.
import { expect, test } from "bun:test"
import { readPools } from "./pools.ts"

const none = { subnets: [], ranges: [], gateways: [], auxiliary: {} }

test("each goes to the subnet that holds it", () => {
  expect(
    readPools({
      subnets: ["10.1.0.0/16", "fd00:1::/64"],
      ranges: ["10.1.5.0/24"],
      gateways: ["fd00:1::1", "10.1.0.9"],
      auxiliary: { router: "10.1.0.2", other: "fd00:1::7" },
    }),
  ).toEqual([
    {
      Subnet: "10.1.0.0/16",
      IPRange: "10.1.5.0/24",
      Gateway: "10.1.0.9",
      AuxiliaryAddresses: { router: "10.1.0.2" },
    },
    { Subnet: "fd00:1::/64", Gateway: "fd00:1::1", AuxiliaryAddresses: { other: "fd00:1::7" } },
  ])
  expect(readPools(none)).toEqual([])
})

test("what belongs nowhere, or twice, is refused in docker's words", () => {
  const refused = (more: Partial<typeof none>) => () => readPools({ ...none, ...more } as typeof none)
  const subnets = ["10.1.0.0/16"] as never[]
  const words = (...list: string[]) => list as never[]
  expect(refused({ ranges: words("10.1.0.0/24") })).toThrow(
    "every ip-range or gateway must have a corresponding subnet",
  )
  expect(refused({ subnets, ranges: words("10.2.0.0/24") })).toThrow(
    "no matching subnet for range 10.2.0.0/24",
  )
  expect(refused({ subnets, gateways: words("10.2.0.1") })).toThrow("no matching subnet for gateway 10.2.0.1")
  expect(refused({ subnets, auxiliary: { a: "10.2.0.1" } })).toThrow(
    "no matching subnet for aux-address 10.2.0.1",
  )
  expect(refused({ subnets: words("10.1.0.0/16", "10.1.2.0/24") })).toThrow(
    "multiple overlapping subnet configuration is not supported",
  )
  expect(refused({ subnets: words("10.1.0.0", "10.2.0.0/16") })).toThrow(
    "invalid subnet: invalid CIDR address: 10.1.0.0",
  )
  expect(
    refused({ subnets: words("10.1.0.0/16", "10.2.0.0/16"), gateways: words("10.1.0.1", "10.1.0.2") }),
  ).toThrow("cannot configure multiple gateways (10.1.0.2, 10.1.0.1) for the same subnet (10.1.0.0/16)")
})
