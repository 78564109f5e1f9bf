// Subnets and addresses: choice, rotation, exhaustion, and that no address is given twice.
import { expect, test } from "bun:test"
import { isIPv6 } from "node:net"
import fc from "fast-check"
import { errorKind, errorMessage } from "../../base/errors.ts"
import { chooseSubnet, defaultPools, parsePool, privatePool } from "./address-pools.ts"
import { Addresses } from "./addresses.ts"
import { Addressing } from "./addressing.ts"
import type { Cidr } from "./cidr.ts"
import {
  addressNumber,
  addressText,
  cidrText,
  holdsAddress,
  overlap,
  parseCidr,
  plainAddress,
} from "./cidr.ts"

/** Subnets that are chosen one after the other. */
const chosen = (pools: typeof defaultPools, family: 4 | 6, count: number): string[] => {
  const used: Cidr[] = []
  for (let index = 0; index < count; index++) used.push(chooseSubnet(pools, family, used))
  return used.map(cidrText)
}

test("pools are Docker's, in its order", () => {
  const all = chosen(defaultPools, 4, 31)
  expect([0, 14, 15, 30].map((index) => all[index])).toEqual([
    "172.17.0.0/16",
    "172.31.0.0/16",
    "192.168.0.0/20",
    "192.168.240.0/20",
  ])
  expect(() => chosen(defaultPools, 4, 32)).toThrow("all predefined address pools have been fully subnetted")
})

test("a subnet is chosen that overlaps nothing", () => {
  const used = ["172.17.0.1/16", "172.18.5.0/24", "172.16.0.0/14"].map(parseCidr)
  expect(cidrText(chooseSubnet(defaultPools, 4, used))).toBe("172.20.0.0/16")
  expect(() => chooseSubnet(defaultPools, 4, [parseCidr("128.0.0.0/1")])).toThrow(
    "all predefined address pools have been fully subnetted",
  )
})

test("pools are split into subnets of one size, past what is used", () => {
  const pools = [parsePool("base=10.10.0.0/16,size=24"), parsePool("base=fd12::/56,size=64")]
  expect(chosen(pools, 4, 3)).toEqual(["10.10.0.0/24", "10.10.1.0/24", "10.10.2.0/24"])
  expect(cidrText(chooseSubnet(pools, 4, [parseCidr("10.10.0.0/23"), parseCidr("10.10.2.128/25")]))).toBe(
    "10.10.3.0/24",
  )
  expect(chosen(pools, 6, 2)).toEqual(["fd12::/64", "fd12:0:0:1::/64"])
  expect(cidrText(parsePool("10.9.0.0/16").base)).toBe("10.9.0.0/16")
  for (const wrong of ["base=10.0.0.0/16,size=8", "base=10.0.0.0/16", "size=24", "base=x,size=1", "a=b"])
    expect(() => parsePool(wrong)).toThrow()
})

test("every engine has private IPv6 subnets of its own, the same each time", () => {
  const subnet = cidrText(chooseSubnet([privatePool("one")], 6, []))
  expect(subnet).toMatch(/^fd[0-9a-f]{2}:[0-9a-f:]+\/64$/)
  expect(cidrText(chooseSubnet([privatePool("one")], 6, []))).toBe(subnet)
  expect(cidrText(chooseSubnet([privatePool("two")], 6, []))).not.toBe(subnet)
})

test("subnets parse with host bits dropped, and nothing else parses", () => {
  expect(cidrText(parseCidr("10.1.2.3/8"))).toBe("10.0.0.0/8")
  expect(cidrText(parseCidr("FD00:1::5/64"))).toBe("fd00:1::/64")
  for (const wrong of ["10.0.0.0", "10.0.0.0/33", "10.0.0/8", "::/129", "fe80::1%eth0/64", "10.0.0.0/ 8", ""])
    expect(() => parseCidr(wrong)).toThrow(`invalid CIDR address: ${wrong}`)
  fc.assert(fc.property(fc.ipV4(), (address) => addressText(4, addressNumber(address)) === address))
  fc.assert(
    fc.property(fc.ipV6(), (address) => addressText(6, addressNumber(address)) === plainAddress(address)),
  )
  expect(overlap(parseCidr("10.0.0.0/8"), parseCidr("10.9.0.0/16"))).toBe(true)
  expect(overlap(parseCidr("10.0.0.0/8"), parseCidr("::/0"))).toBe(false)
})

test("addresses rotate: one that was given back rests until the others have had their turn", () => {
  const addresses = new Addresses(parseCidr("10.0.0.0/29"), { reserved: ["10.0.0.1"] })
  expect([addresses.take(), addresses.take()]).toEqual(["10.0.0.2", "10.0.0.3"])
  addresses.release("10.0.0.2")
  expect([addresses.take(), addresses.take(), addresses.take(), addresses.take()]).toEqual([
    "10.0.0.4",
    "10.0.0.5",
    "10.0.0.6",
    "10.0.0.2",
  ])
  expect(addresses.take()).toBeUndefined()
  try {
    addresses.claim("10.0.0.4")
    throw new Error("it was given twice")
  } catch (error) {
    expect([errorKind(error), errorMessage(error)]).toEqual(["forbidden", "Address already in use"])
  }
  addresses.release("10.0.0.4")
  addresses.claim("10.0.0.4")
  addresses.release("172.17.0.1") // not of this subnet: nothing happens
  addresses.release("11.0.0.1")
  addresses.skipPast("10.0.0.5")
})

test("a range bounds what is given, not what may be asked for", () => {
  const addresses = new Addresses(parseCidr("10.0.0.0/24"), {
    range: parseCidr("10.0.0.252/30"),
    reserved: ["10.0.0.1", "10.0.0.252"],
  })
  addresses.claim("10.0.0.9")
  expect([addresses.take(), addresses.take(), addresses.take()]).toEqual([
    "10.0.0.253",
    "10.0.0.254",
    undefined,
  ])
  expect(addresses.free).toBe(0n)
})

test("the smallest subnets have no address to spare", () => {
  const two = new Addresses(parseCidr("10.0.0.0/31"))
  expect([two.take(), two.take(), two.take()]).toEqual(["10.0.0.0", "10.0.0.1", undefined])
  const six = new Addresses(parseCidr("fd00::/126"))
  expect([six.take(), six.take(), six.take(), six.take()]).toEqual([
    "fd00::1",
    "fd00::2",
    "fd00::3",
    undefined,
  ])
})

test("no address is given twice", () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat({ max: 20 }))), (steps) => {
      const addresses = new Addresses(parseCidr("10.0.0.0/27"), { reserved: ["10.0.0.1"] })
      const given: string[] = []
      for (const step of steps) {
        if (step === null) {
          const taken = addresses.take()
          if (taken === undefined) {
            expect(given).toHaveLength(29)
            continue
          }
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

test("a network gives an address of each family, those asked for or the next, all or none", () => {
  const addressing = new Addressing({
    id: "i",
    name: "blue",
    driver: "bridge",
    createdAt: 0,
    internal: false,
    attachable: false,
    ipv6: true,
    options: {},
    labels: {},
    subnets: [
      { subnet: "10.0.0.0/30", gateway: "10.0.0.1" },
      { subnet: "10.0.1.0/30", gateway: "10.0.1.1" },
      { subnet: "fd00::/64", gateway: "fd00::1" },
    ],
  })
  expect(addressing.take({ ipv6: "FD00::00:9" })).toEqual({
    ipv4: { address: "10.0.0.2", prefixLength: 30, gateway: "10.0.0.1" },
    ipv6: { address: "fd00::9", prefixLength: 64, gateway: "fd00::1" },
  })
  expect(() => addressing.take({ ipv6: "fd00::9" })).toThrow("Address already in use")
  expect(() => addressing.take({ ipv6: "fd01::9" })).toThrow(
    "invalid address fd01::9: It does not belong to any of this network's subnets",
  )
  const second = addressing.take()
  expect(second.ipv4?.address).toBe("10.0.1.2")
  expect(addressing.free).toBe(0n)
  expect(() => addressing.take()).toThrow(
    "no available IPv4 addresses on this network's address pools: blue (i)",
  )
  addressing.release(second)
  expect(addressing.take().ipv4?.address).toBe("10.0.1.2")
})

test("a CIDR holds what shares its leading bits, in any notation", () => {
  expect(holdsAddress(parseCidr("10.0.0.0/8"), "10.255.0.1")).toBe(true)
  expect(holdsAddress(parseCidr("10.0.0.0/9"), "10.255.0.1")).toBe(false)
  expect(holdsAddress(parseCidr("fd00::/64"), "fd00:0:0:0:0:0:0:1")).toBe(true)
  expect(holdsAddress(parseCidr("fd00::/64"), "fd00:0:0:1::1")).toBe(false)
  expect(holdsAddress(parseCidr("::/0"), "1.2.3.4")).toBe(false)
  fc.assert(
    fc.property(fc.ipV6(), fc.integer({ min: 0, max: 128 }), (address, length) => {
      fc.pre(isIPv6(address))
      expect(holdsAddress(parseCidr(`${address}/${length}`), address)).toBe(true)
    }),
  )
})
