// What containers are told about each other: pure, read back by a library of its own.
import { expect, test } from "bun:test"
import { decode, encode, type Packet, type RecordType } from "dns-packet"
import fc from "fast-check"
import { Asker, type Outcome } from "./asker.ts"
import { readQuery } from "./message.ts"
import { type NamedEndpoint, Names } from "./names.ts"

const endpoint = (
  containerId: string,
  network: string,
  more: Partial<NamedEndpoint> = {},
): NamedEndpoint => ({
  containerId,
  networkId: `id-of-${network}`,
  networkName: network,
  internal: false,
  names: [containerId],
  ...more,
})

/** web and two of the service "api" on "front", db on "back" (internal); web is on both. */
const town = (): Names => {
  const names = new Names()
  names.put(
    endpoint("web", "front", {
      names: ["web", "www", "0123456789ab", "Host"],
      ipv4: "10.0.0.2",
      ipv6: "fd00::2",
    }),
  )
  names.put(endpoint("web", "back", { internal: true, ipv4: "10.1.0.2" }))
  for (const n of [3, 4, 5])
    names.put(
      endpoint(`api${n}`, "front", {
        names: [`api${n}`, "api"],
        ipv4: `10.0.0.${n}`,
        ports: [{ port: 8000 + n, protocol: "tcp" }],
      }),
    )
  names.put(endpoint("db", "back", { internal: true, ipv4: "10.1.0.3", names: ["db", "my.db"] }))
  return names
}

const query = (name: string, type: RecordType, more: Packet = {}): Buffer =>
  encode({ type: "query", id: 4711, flags: 0x100, questions: [{ name, type, class: "IN" }], ...more })

const asked = (names: Names, who: string, bytes: Buffer, tcp = false, ndotsSet = false): Outcome =>
  new Asker(names, who).take(bytes, tcp, ndotsSet)

/** Data of the answers, the code when there is none, or where the question goes. */
const told = (names: Names, who: string, name: string, type: RecordType = "A"): unknown => {
  const outcome = asked(names, who, query(name, type))
  if (!Buffer.isBuffer(outcome)) return outcome ? "elsewhere" : "nothing"
  const packet = decode(outcome)
  expect(packet.id).toBe(4711)
  expect(packet.questions?.[0]?.name).toBe(name)
  expect(packet.flag_qr && packet.flag_ra && packet.flag_rd).toBe(true)
  const data = packet.answers?.map((answer) => ("data" in answer ? answer.data : undefined)) ?? []
  return data.length > 0 ? data : ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN"][outcome.readUInt16BE(2) & 15]
}

test("names, aliases, short ids and hostnames, in any case, qualified by their network or not", () => {
  const names = town()
  for (const name of ["web", "WWW", "0123456789ab", "host", "web.front", "www.FRONT"])
    expect(told(names, "api3", name)).toEqual(["10.0.0.2"])
  expect(told(names, "web", "web.back")).toEqual(["10.1.0.2"])
  expect(told(names, "web", "my.db")).toEqual(["10.1.0.3"])
  expect(told(names, "web", "my.db.back")).toEqual(["10.1.0.3"])
  expect(told(names, "api3", "web", "AAAA")).toEqual(["fd00::2"])
})

test("only what shares a network is found; the rest is for others to answer", () => {
  const names = town()
  expect(told(names, "api3", "db")).toBe("elsewhere")
  expect(told(names, "api3", "web.back")).toBe("elsewhere")
  expect(told(names, "api3", "example.org")).toBe("elsewhere")
  expect(told(names, "stranger", "web")).toBe("SERVFAIL")
})

test("nothing goes elsewhere from internal networks alone", () => {
  const names = town()
  expect(told(names, "db", "web")).toEqual(["10.1.0.2"])
  for (const type of ["A", "AAAA", "TXT", "MX", "PTR", "SRV"] as const)
    expect(told(names, "db", "secret.example.org", type)).toBe("SERVFAIL")
  expect(told(names, "web", "example.org")).toBe("elsewhere")
})

test("a name that exists has an empty answer for what it has none of", () => {
  const names = town()
  expect(told(names, "web", "api4", "AAAA")).toBe("NOERROR")
  for (const type of ["MX", "TXT"] as const) expect(told(names, "web", "api4", type)).toBe("NOERROR")
})

test("short names stay here where ndots was set", () => {
  const names = town()
  const outcome = asked(names, "web", query("nobody", "A"), false, true)
  expect(Buffer.isBuffer(outcome) && decode(outcome).answers).toEqual([])
  expect(Buffer.isBuffer(asked(names, "web", query("nobody.org", "A"), false, true))).toBe(false)
})

test("several addresses take turns at the first place", () => {
  const names = town()
  const asker = new Asker(names, "web")
  const firsts = Array.from({ length: 6 }, () => {
    const outcome = asker.take(query("api", "A"), false, false)
    const answers = Buffer.isBuffer(outcome) ? (decode(outcome).answers ?? []) : []
    expect(answers.map((answer) => "data" in answer && answer.data).toSorted()).toEqual([
      "10.0.0.3",
      "10.0.0.4",
      "10.0.0.5",
    ])
    expect(answers.every((answer) => "ttl" in answer && answer.ttl === 600)).toBe(true)
    const [first] = answers
    return first && "data" in first ? first.data : undefined
  })
  expect(firsts).toEqual(["10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.3", "10.0.0.4", "10.0.0.5"])
})

test("addresses lead back to names, on networks that are shared", () => {
  const names = town()
  expect(told(names, "api3", "2.0.0.10.in-addr.arpa", "PTR")).toEqual(["web.front"])
  expect(told(names, "web", "2.0.1.10.in-addr.arpa", "PTR")).toEqual(["web.back"])
  const six = "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa"
  expect(told(names, "api3", six, "PTR")).toEqual(["web.front"])
  expect(told(names, "api3", "3.0.1.10.in-addr.arpa", "PTR")).toBe("elsewhere")
  expect(told(names, "db", "2.0.0.10.in-addr.arpa", "PTR")).toBe("SERVFAIL")
})

test("SRV tells who offers a port", () => {
  const names = town()
  expect(told(names, "web", "_8004._tcp.api", "SRV")).toEqual([
    { priority: 0, weight: 0, port: 8004, target: "api4.front" },
  ])
  expect(told(names, "web", "_8004._udp.api", "SRV")).toBe("NOERROR")
  expect(told(names, "web", "_http._tcp.example.org", "SRV")).toBe("elsewhere")
})

test("links are the linking container's own names for others", () => {
  const names = town()
  names.put(endpoint("app", "front", { ipv4: "10.0.0.9", links: [{ alias: "Store", name: "api4" }] }))
  expect(told(names, "app", "store")).toEqual(["10.0.0.4"])
  expect(told(names, "app", "store.front")).toEqual(["10.0.0.4"])
  expect(told(names, "web", "store")).toBe("elsewhere")
})

test("changes of the registry are seen at once", () => {
  const names = town()
  const asker = new Asker(names, "web")
  const now = (): unknown => {
    const outcome = asker.take(query("late", "A"), false, false)
    return Buffer.isBuffer(outcome)
      ? decode(outcome).answers?.map((one) => "data" in one && one.data)
      : "elsewhere"
  }
  expect(now()).toBe("elsewhere")
  names.put(endpoint("c", "front", { names: ["late"], ipv4: "10.0.0.7" }))
  expect(now()).toEqual(["10.0.0.7"])
  names.put(endpoint("c", "front", { names: ["renamed"], ipv4: "10.0.0.7" }))
  expect(now()).toBe("elsewhere")
  names.remove("c")
  expect(names.around("c")).toEqual([])
})

const many = (): Names => {
  const names = town()
  for (let n = 0; n < 250; n++)
    names.put(endpoint(`m${n}`, "front", { names: ["many"], ipv4: `10.2.${n >> 8}.${n & 255}` }))
  return names
}

test("what does not fit is truncated: 512 bytes, or what EDNS says; TCP brings it whole", () => {
  const names = many()
  const sizeOf = (tcp: boolean, size?: number): [number, boolean | undefined, number | undefined] => {
    const additionals: Packet["additionals"] = size
      ? [
          {
            type: "OPT",
            name: ".",
            udpPayloadSize: size,
            extendedRcode: 0,
            ednsVersion: 0,
            flags: 0,
            flag_do: false,
            options: [],
          },
        ]
      : []
    const outcome = asked(names, "web", query("many", "A", { additionals }), tcp)
    if (!Buffer.isBuffer(outcome)) throw new Error("not answered")
    const packet = decode(outcome)
    expect(packet.additionals?.length).toBe(size ? 1 : 0)
    return [outcome.length, packet.flag_tc, packet.answers?.length]
  }
  expect(sizeOf(false)).toEqual([502, true, 30])
  expect(sizeOf(false, 1232)).toEqual([1217, true, 74])
  expect(sizeOf(false, 60_000)).toEqual([4033, false, 250])
  expect(sizeOf(true)).toEqual([4022, false, 250])
})

test("malformed queries get FORMERR, other operations NOTIMP, answers nothing", () => {
  const names = town()
  const ask = (change: (bytes: Buffer) => unknown): unknown => {
    const bytes = query("web", "A")
    const changed = change(bytes)
    const outcome = asked(names, "api3", Buffer.isBuffer(changed) ? changed : bytes)
    return Buffer.isBuffer(outcome) ? outcome.readUInt16BE(2) & 15 : outcome
  }
  expect(ask((bytes) => bytes.subarray(0, 11))).toBeUndefined()
  expect(ask((bytes) => void bytes.writeUInt8(0x81, 2))).toBeUndefined()
  expect(ask((bytes) => void bytes.writeUInt8(0x29, 2))).toBe(4)
  expect(ask((bytes) => void bytes.writeUInt16BE(2, 4))).toBe(1)
  expect(ask((bytes) => void bytes.writeUInt16BE(0, 4))).toBe(1)
  expect(ask((bytes) => void bytes.writeUInt16BE(65_535, 10))).toBe(1)
  expect(ask((bytes) => bytes.subarray(0, -1))).toBe(1)
  // A name that points at itself.
  expect(ask((bytes) => void bytes.writeUInt16BE(0xc00c, 12))).toBe(1)
})

test("no packet makes it throw, answer with more than was asked for, or work for long", () => {
  const names = many()
  const asker = new Asker(names, "web")
  const mutated = fc
    .tuple(
      fc.constantFrom("web", "many", "x.example.org", "_8004._tcp.api", "2.0.0.10.in-addr.arpa"),
      fc.constantFrom<RecordType>("A", "AAAA", "PTR", "SRV", "TXT"),
      fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 6 }),
      fc.uint8Array({ maxLength: 30 }),
    )
    .map(([name, type, changes, tail]) => {
      const bytes = Buffer.concat([query(name, type), tail])
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
      return bytes
    })
  const loops = fc.nat(600).map((count) => {
    const pointers = Buffer.alloc(12 + count * 2, 0xc0)
    pointers.writeUInt16BE(1, 4)
    return pointers
  })
  fc.assert(
    fc.property(fc.oneof(mutated, loops, fc.uint8Array({ maxLength: 600 })), fc.boolean(), (packet, tcp) => {
      const bytes = Buffer.from(packet)
      const since = performance.now()
      const outcome = asker.take(bytes, tcp, false)
      expect(performance.now() - since).toBeLessThan(50)
      if (!Buffer.isBuffer(outcome)) return
      expect(outcome.readUInt16BE(0)).toBe(bytes.readUInt16BE(0))
      if (!tcp) expect(outcome.length).toBeLessThanOrEqual(4096)
      decode(outcome)
    }),
    { numRuns: 3000 },
  )
})

test("a query is read in place only: compressed or broken names are refused", () => {
  expect(readQuery(query(`${"a".repeat(63)}.`.repeat(3), "A"), false)).toMatchObject({
    type: 1,
    class: 1,
    largest: 512,
  })
  expect(readQuery(query(".", "TXT"), true)).toMatchObject({ name: "", type: 16, largest: 65_535 })
})
