// Subnets and addresses: choice, rotation, exhaustion, and that no address is given twice.
import { expect, test } from "bun:test"
import fc from "fast-check"
import { errorKind } from "../../base/errors.ts"
import { Addresses } from "./addresses.ts"
import {
  chooseSubnet,
  defaultPools,
  ipv4Number,
  ipv4Text,
  overlaps,
  parseSubnet,
  subnetText,
} from "./subnet.ts"

test("pools are Docker's, in its order", () => {
  expect(defaultPools).toHaveLength(31)
  expect([0, 14, 15, 30].map((index) => subnetText(defaultPools[index] ?? parseSubnet("0.0.0.0/0")))).toEqual(
    ["172.17.0.0/16", "172.31.0.0/16", "192.168.0.0/20", "192.168.240.0/20"],
  )
})

test("a subnet is chosen that overlaps nothing", () => {
  const used = ["172.17.0.1/16", "172.18.5.0/24", "172.16.0.0/14"].map(parseSubnet)
  expect(subnetText(chooseSubnet(defaultPools, used))).toBe("172.20.0.0/16")
  expect(() => chooseSubnet(defaultPools, [parseSubnet("128.0.0.0/1")])).toThrow(
    "non-overlapping IPv4 address pool",
  )
})

test("subnets parse with host bits dropped, and nothing else parses", () => {
  expect(subnetText(parseSubnet("10.1.2.3/8"))).toBe("10.0.0.0/8")
  for (const wrong of ["10.0.0.0", "10.0.0.0/33", "10.0.0/8", "::/0", "10.0.0.0/ 8", ""])
    expect(() => parseSubnet(wrong)).toThrow(`invalid CIDR address: ${wrong}`)
  fc.assert(fc.property(fc.ipV4(), (address) => ipv4Text(ipv4Number(address)) === address))
  expect(overlaps(parseSubnet("10.0.0.0/8"), parseSubnet("10.9.0.0/16"))).toBe(true)
})

test("addresses rotate: one that was given back rests until the others have had their turn", () => {
  const addresses = new Addresses(parseSubnet("10.0.0.0/29"), "10.0.0.1")
  expect([addresses.take(), addresses.take()]).toEqual(["10.0.0.2", "10.0.0.3"])
  addresses.release("10.0.0.2")
  expect([addresses.take(), addresses.take(), addresses.take(), addresses.take()]).toEqual([
    "10.0.0.4",
    "10.0.0.5",
    "10.0.0.6",
    "10.0.0.2",
  ])
  expect(() => addresses.take()).toThrow(
    "no available IPv4 addresses on this network's address pools: 10.0.0.0/29",
  )
  try {
    addresses.claim("10.0.0.4")
    throw new Error("it was given twice")
  } catch (error) {
    expect(errorKind(error)).toBe("conflict")
  }
  addresses.release("10.0.0.4")
  addresses.claim("10.0.0.4")
  addresses.release("172.17.0.1") // not of this subnet: nothing happens
  addresses.release("11.0.0.1")
  addresses.skipPast("10.0.0.5")
})

test("no address is given twice", () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat({ max: 20 }))), (steps) => {
      const addresses = new Addresses(parseSubnet("10.0.0.0/27"), "10.0.0.1")
      const given: string[] = []
      for (const step of steps) {
        if (step === null) {
          if (given.length === 29) continue
          const taken = addresses.take()
          expect(given).not.toContain(taken)
          given.push(taken)
        } else {
          const [back] = given.splice(step % Math.max(1, given.length), 1)
          if (back) addresses.release(back)
        }
      }
    }),
  )
})
