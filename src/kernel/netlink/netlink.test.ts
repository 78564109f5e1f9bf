// Encoders against bytes written out by hand, decoders against the kernel's layouts, and both against each other.
import { expect, test } from "bun:test"
import fc from "fast-check"
import { readAttributes } from "./decode.ts"
import {
  addAddress,
  addElements,
  addRoute,
  addRule,
  batch,
  createBridge,
  createChain,
  createDummy,
  createIpvlan,
  createMacvlan,
  createSet,
  createVeth,
  createVlan,
  deleteFlow,
  deleteGroup,
  disablePort,
  encode,
  ipBytes,
  ipText,
  type Message,
  macBytes,
  macText,
  netlinkOperation,
  readAddresses,
  readChains,
  readFlows,
  readLinks,
  readReplies,
  readRoutes,
  setGroup,
  setHairpin,
  setUp,
  withoutIpv6,
} from "./netlink.ts"

const hex = (...messages: Message[]): string => encode(messages).bytes.toString("hex")
/** Golden bytes are written in groups that follow the structs; spaces and remarks do not count. */
const golden = (...lines: string[]): string =>
  lines.map((line) => line.replace(/#.*$/, "").replaceAll(" ", "")).join("")

test("link messages", () => {
  expect(hex(setUp({ index: 5 }))).toBe(
    golden(
      "20000000 1300 0500 01000000 00000000 # 32 bytes, set link, request+ack",
      "00 00 0000 05000000 01000000 01000000 # index 5, up",
    ),
  )
  expect(hex(createBridge("br0", 1500, "02:42:01:02:03:04"))).toBe(
    golden(
      "4c000000 1000 0506 01000000 00000000 # new link, create+exclusive",
      "00 00 0000 00000000 00000000 00000000",
      "0800 0300 62723000 # name br0",
      "0800 0400 dc050000 # mtu",
      "0a00 0100 024201020304 0000 # hardware address",
      "1000 1280 0b00 0100 62726964676500 00 # link info: kind bridge",
    ),
  )
  expect(hex(withoutIpv6({ index: 2, name: "eth0" }))).toBe(
    golden(
      "3c000000 1300 0500 01000000 00000000",
      "00 00 0000 02000000 00000000 00000000",
      "0900 0300 6574683000 000000",
      "1000 1a80 0c00 0a80 0500 0800 01 000000 # inet6: address generation none",
    ),
  )
  expect(hex(setHairpin({ index: 7 }))).toBe(
    golden(
      "3c000000 1000 0500 01000000 00000000",
      "00 00 0000 07000000 00000000 00000000",
      "1c00 1280 0b00 0400 62726964676500 00 0c00 0580 0500 0400 01 000000",
    ),
  )
})

test("links of other kinds, groups and ports of bridges", () => {
  const plain = "00 00 0000 00000000 00000000 00000000"
  expect(hex(createVlan("e.5", 3, 5))).toBe(
    golden(
      "4c000000 1000 0506 01000000 00000000",
      plain,
      "0800 0300 652e3500 # name",
      "0800 0500 03000000 # on link 3",
      "1c00 1280 0900 0100 766c616e00 000000 # kind vlan",
      "0c00 0280 0600 0100 0500 0000 # id 5",
    ),
  )
  expect(hex(createDummy("d0"))).toBe(
    golden(
      "38000000 1000 0506 01000000 00000000",
      plain,
      "0700 0300 643000 00",
      "1000 1280 0a00 0100 64756d6d7900 0000 # kind dummy",
    ),
  )
  expect(hex(deleteGroup(7))).toBe(
    golden("28000000 1100 0500 01000000 00000000", plain, "0800 1b00 07000000"),
  )
  expect(hex(setGroup({ index: 4 }, 7))).toBe(
    golden(
      "28000000 1300 0500 01000000 00000000",
      "00 00 0000 04000000 00000000 00000000",
      "0800 1b00 07000000",
    ),
  )
  expect(hex(disablePort({ index: 7 }))).toBe(
    golden(
      "3c000000 1000 0500 01000000 00000000",
      "00 00 0000 07000000 00000000 00000000",
      "1c00 1280 0b00 0400 62726964676500 00 0c00 0580 0500 0100 00 000000 # port state disabled",
    ),
  )
  const macvlan = createMacvlan({ name: "eth0", parent: 3, macAddress: "02:00:00:00:00:01", mode: "vepa" })
  const ipvlan = createIpvlan({ name: "eth0", parent: 3, mode: "l3", flag: "private" })
  for (const message of [macvlan, ipvlan])
    expect(netlinkOperation("host", "route", [message]).at(-1)).toBe("inside-fd")
  expect(hex(macvlan)).toContain(golden("0c00 0100 6d6163766c616e00 0c00 0280 0800 0100 02000000"))
  expect(hex(ipvlan)).toContain(
    golden("0b00 0100 6970766c616e00 00 1400 0280 0600 0100 0100 0000 0600 0200 0100 0000"),
  )
})

test("a veth's descriptor is patched where the launcher is told", () => {
  const message = createVeth({
    name: "veth1",
    master: 9,
    mtu: 1400,
    peerName: "eth0",
    peerMacAddress: "02:42:ac:11:00:02",
  })
  const { bytes, patches } = encode([setUp({ index: 1 }), message])
  const [patch] = patches
  expect(patches).toHaveLength(1)
  expect(patch?.descriptor).toBe("inside-fd")
  const at = patch?.offset ?? 0
  expect(bytes.readUInt16LE(at - 4)).toBe(8)
  expect(bytes.readUInt16LE(at - 2)).toBe(28) // IFLA_NET_NS_FD
  expect(netlinkOperation("host", "route", [message]).slice(-3)).toEqual([String(at - 32), "4", "inside-fd"])
})

test("address, route and neighbour messages", () => {
  expect(hex(addAddress({ link: 2, address: "172.17.0.2", prefixLength: 16 }))).toBe(
    golden(
      "30000000 1400 0506 01000000 00000000",
      "02 10 00 00 02000000",
      "0800 0200 ac110002",
      "0800 0100 ac110002",
      "0800 0400 ac11ffff",
    ),
  )
  expect(hex(addRoute({ prefixLength: 0, gateway: "172.17.0.1", link: 2 }))).toBe(
    golden(
      "2c000000 1800 0506 01000000 00000000",
      "02 00 00 00 fe 03 00 01 00000000",
      "0800 0500 ac110001",
      "0800 0400 02000000",
    ),
  )
})

const table = { family: 2, name: "t" }

test("nf_tables chains, rules and batches", () => {
  const chain = {
    name: "c",
    hook: { type: "nat", at: "postrouting", priority: 100, policy: "accept" },
  } as const
  expect(hex(...batch([createChain(table, chain)]))).toBe(
    golden(
      "14000000 1000 0100 01000000 00000000 00 00 000a # begin, nf_tables",
      "48000000 030a 0504 02000000 00000000 02 00 0000",
      "0600 0100 7400 0000 # table t",
      "0600 0300 6300 0000 # name c",
      "1400 0480 0800 0100 00000004 0800 0200 00000064 # hook postrouting, priority 100",
      "0800 0500 00000001 # accept",
      "0800 0700 6e617400 # nat",
      "14000000 1100 0100 03000000 00000000 00 00 000a # end",
    ),
  )
  expect(hex(addRule(table, "c", [{ kind: "verdict", verdict: { kind: "jump", chain: "d" } }]))).toBe(
    golden(
      "60000000 060a 050c 01000000 00000000 02 00 0000 # new rule, create+append",
      "0600 0100 7400 0000 0600 0200 6300 0000",
      "3c00 0480 3800 0180 0e00 0100 696d6d65646961746500 0000 # immediate",
      "2400 0280 0800 0100 00000000 # into the verdict",
      "1800 0280 1400 0280 0800 0100 fffffffd 0600 0200 6400 0000 # jump d",
    ),
  )
})

test("sets: concatenations, intervals and verdict maps", () => {
  const attributesOf = (message: Message) => readAttributes(encode([message]).bytes.subarray(20))
  const published = attributesOf(
    createSet(
      table,
      { name: "m", key: ["ipv4_addr", "inet_proto", "inet_service"], value: ["ipv4_addr", "inet_service"] },
      1,
    ),
  )
  expect(published.get(3)?.readUInt32BE()).toBe(0x8) // map
  expect(published.get(4)?.readUInt32BE()).toBe((7 << 12) | (12 << 6) | 13)
  expect(published.get(5)?.readUInt32BE()).toBe(12)
  expect(published.get(6)?.readUInt32BE()).toBe((7 << 6) | 13)
  expect(published.get(7)?.readUInt32BE()).toBe(8)
  const ranges = attributesOf(
    createSet(table, { name: "r", key: ["ipv4_addr", "inet_service"], value: "verdict", interval: true }, 2),
  )
  expect(ranges.get(3)?.readUInt32BE()).toBe(0x8 | 0x4 | 0x80)
  expect(ranges.get(6)?.readUInt32BE()).toBe(0xffffff00)
  expect(ranges.get(9)?.toString("hex")).toBe(
    golden("1c00 0280 0c00 0180 0800 0100 00000004 0c00 0180 0800 0100 00000004"),
  )
  const [single] = addElements(table, "s", [
    { key: [ipBytes("10.0.0.0")], last: [ipBytes("10.255.255.255")] },
  ])
  expect(single && attributesOf(single).get(3)?.toString("hex")).toBe(
    golden(
      "1000 0180 0c00 0180 0800 0100 0a000000",
      "1800 0180 0c00 0180 0800 0100 0b000000 0800 0300 00000001 # end of the interval",
    ),
  )
  const many = addElements(
    table,
    "s",
    Array.from({ length: 1000 }, (_, index) => ({ key: [Uint8Array.of(index >> 8, index & 255)] })),
  )
  expect(many).toHaveLength(3)
})

test("flows are read as they are written", () => {
  const flow = {
    protocol: 17,
    source: "10.0.0.1",
    sourcePort: 4000,
    destination: "10.0.0.2",
    destinationPort: 53,
  }
  const message = deleteFlow(flow)
  // What the kernel lists has the shape of what deletes it, with another number.
  expect(readFlows(encode([{ ...message, type: 0x100 }]).bytes)).toEqual([flow])
})

test("replies: errors carry the kernel's own sentence", () => {
  const message = Buffer.from("no such device\0")
  const body = Buffer.alloc(20)
  body.writeInt32LE(-19)
  const attribute = Buffer.alloc(4 + 16)
  attribute.writeUInt16LE(4 + message.length)
  attribute.writeUInt16LE(1, 2)
  message.copy(attribute, 4)
  const header = Buffer.alloc(16)
  header.writeUInt32LE(16 + body.length + attribute.length)
  header.writeUInt16LE(2, 4)
  header.writeUInt16LE(0x300, 6)
  expect(() => readReplies(Buffer.concat([header, body, attribute]))).toThrow(
    "The kernel refused a netlink request: no such device",
  )
})

test("replies of any bytes are read without reading past their end", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const read of [readLinks, readAddresses, readRoutes, readChains, readFlows])
        try {
          read(Buffer.from(bytes))
        } catch (error) {
          expect(error).toBeInstanceOf(Error)
        }
    }),
  )
})

test("addresses survive text and back", () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
      expect(ipText(ipBytes(ipText(ipBytes(address))))).toBe(ipText(ipBytes(address)))
    }),
  )
  expect(ipText(ipBytes("fe80:0:0:0:0:0:0:1"))).toBe("fe80::1")
  expect(ipText(ipBytes("::"))).toBe("::")
  expect(ipText(ipBytes("1::"))).toBe("1::")
  expect(ipText(ipBytes("2001:db8:0:0:1:0:0:1"))).toBe("2001:db8::1:0:0:1")
  expect(ipText(ipBytes("::ffff:1.2.3.4"))).toBe("::ffff:102:304")
  expect(macText(macBytes("02:42:AC:11:00:02"))).toBe("02:42:ac:11:00:02")
  for (const wrong of ["1.2.3", "1.2.3.256", "x", "fe80::1%eth0"]) expect(() => ipBytes(wrong)).toThrow()
  expect(() => macBytes("02:42")).toThrow()
})
