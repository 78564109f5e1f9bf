// netns-* and netlink: namespaces held by name, links across them, batches, dumps and the kernel's own words.
import { afterAll, expect, test } from "bun:test"
import { execFileSync } from "node:child_process"
import { readFileSync, statSync } from "node:fs"
import { download } from "./archives.ts"
import { ask, connect, type Operation, type Report, startLauncher } from "./client.ts"

const launcher = await startLauncher()
afterAll(() => launcher[Symbol.asyncDispose]())

const REQUEST = 1
const ACK = 4
const DUMP = 0x300
const CREATE = 0x600

function attribute(type: number, value: string | Buffer | readonly Buffer[]): Buffer {
  const body =
    typeof value === "string"
      ? Buffer.from(`${value}\0`)
      : Buffer.isBuffer(value)
        ? value
        : Buffer.concat(value)
  const head = Buffer.alloc(4)
  head.writeUInt16LE(4 + body.length, 0)
  head.writeUInt16LE(type, 2)
  return Buffer.concat([head, body, Buffer.alloc((4 - (body.length % 4)) % 4)])
}

function message(type: number, flags: number, sequence: number, ...body: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(16)
  head.writeUInt32LE(16 + body.reduce((sum, part) => sum + part.length, 0), 0)
  head.writeUInt16LE(type, 4)
  head.writeUInt16LE(flags, 6)
  head.writeUInt32LE(sequence, 8)
  return Buffer.concat([head, ...body])
}

function link(index = 0, flags = 0): Buffer {
  const body = Buffer.alloc(16)
  body.writeInt32LE(index, 4)
  body.writeUInt32LE(flags, 8)
  body.writeUInt32LE(flags, 12)
  return body
}

const newLink = (name: string, kind: string, data: readonly Buffer[] = []): Buffer =>
  message(
    16,
    REQUEST | ACK | CREATE,
    1,
    link(),
    attribute(3, name),
    attribute(18, [attribute(1, kind), ...data]),
  )

/** A veth whose peer "eth0" is made in the namespace of the last four bytes. */
const veth = (name: string): Buffer =>
  newLink(name, "veth", [
    attribute(2, [attribute(1, [link(), attribute(3, "eth0"), attribute(28, Buffer.alloc(4))])]),
  ])

const family = (number: number, resource = 0): Buffer =>
  Buffer.from([number, 0, resource >> 8, resource & 255])
const nfTables = (kind: number, ...attributes: readonly Buffer[]): Buffer =>
  Buffer.concat([
    message(0x10, REQUEST, 1, family(0, 10)),
    message(0xa00 + kind, REQUEST | ACK | CREATE, 2, family(2), ...attributes),
    message(0x11, REQUEST, 3, family(0, 10)),
  ])

const at = (where: string, protocol: string, bytes: Buffer, ...patches: (string | number)[]): Operation => [
  "netlink",
  where,
  protocol,
  bytes.toString("hex"),
  ...patches,
]
const inside = (name: string, ...operations: Operation[]): Promise<{ report: Report; data: Buffer }> =>
  download(launcher.socket, [["netlink"], ["namespace", name], ...operations])
const linkNames = async (name: string): Promise<string> =>
  (await inside(name, at("inside", "route", message(18, REQUEST | DUMP, 7, link())))).data.toString("latin1")

test("a namespace is made with a veth pair across, is listed, and goes away with its links", async () => {
  const host = `sl3v${process.pid % 100000}`
  const bytes = veth(host)
  const made = await ask(launcher.socket, [
    ["netns-create"],
    ["name", "n1"],
    at("host", "route", bytes, bytes.length - 4, 4, "inside-fd"),
  ])
  expect(made.kind).toBe("ok")
  expect((await ask(launcher.socket, [["netns-list"]])).fields).toEqual(["name", "n1"])
  expect((await ask(launcher.socket, [["netns-create"], ["name", "n1"]])).fields[3]).toBe(
    "a namespace of this name is held already",
  )
  expect(await linkNames("held:n1")).toContain("eth0\0")
  expect(execFileSync("ip", ["link", "show", host]).toString()).toContain(host)
  expect((await ask(launcher.socket, [["netns-drop"], ["name", "n1", "never-made"]])).kind).toBe("ok")
  expect((await ask(launcher.socket, [["netns-list"]])).fields).toEqual([])
  for (let tries = 0; execFileSync("ip", ["link"]).includes(host); tries++) {
    expect(tries).toBeLessThan(100)
    await Bun.sleep(10)
  }
})

test("sysctls are written in the inside namespace once its links are there, and never in the host's", async () => {
  const host = `sl3s${process.pid % 100000}`
  const bytes = veth(host)
  const key = "net/ipv6/conf/eth0/accept_ra"
  const made = await ask(launcher.socket, [
    ["netns-create"],
    ["name", "n3"],
    at("host", "route", bytes, bytes.length - 4, 4, "inside-fd"),
    ["sysctl", key, "0"],
    ["sysctl", "net.ipv4.conf.eth0.log_martians", "1"],
  ])
  expect(made.kind).toBe("ok")
  expect((await inside("held:n3", ["sysctl", key, "2"])).report.kind).toBe("ok")
  expect((await inside("held:n3", ["sysctl", "net/ipv6/conf/eth9/accept_ra", "2"])).report.fields[0]).toBe(
    "sysctl",
  )
  for (const wrong of ["kernel/hostname", "net/../kernel/hostname"])
    expect((await inside("held:n3", ["sysctl", wrong, "x"])).report.kind).toBe("failed")
  const refused = await inside("host", ["sysctl", "net/ipv4/conf/lo/log_martians", "0"])
  expect(refused.report.fields[3]).toContain("it would change the host")
  await ask(launcher.socket, [["netns-drop"], ["name", "n3"]])
})

test("nothing of a namespace remains when its first messages fail", async () => {
  const report = await ask(launcher.socket, [
    ["netns-create"],
    ["name", "bad"],
    at("inside", "route", newLink("x", "no-such-kind")),
  ])
  expect(report.fields.slice(0, 3)).toEqual(["netlink", "message 1, type 16", "95"])
  expect(report.fields[3]).toEndWith("Unknown device type")
  expect((await ask(launcher.socket, [["netns-list"]])).fields).toEqual([])
})

test("lo is up, and messages of one operation stop at the first that fails", async () => {
  await ask(launcher.socket, [["netns-create"], ["name", "n2"]])
  try {
    const { data } = await inside("held:n2", at("inside", "route", message(18, REQUEST | DUMP, 7, link())))
    expect(data.readUInt32LE(16 + 8) & 1).toBe(1)
    const many = Buffer.concat([newLink("one", "bridge"), newLink("one", "bridge"), newLink("two", "bridge")])
    expect((await inside("held:n2", at("inside", "route", many))).report.fields.slice(0, 3)).toEqual([
      "netlink",
      "message 1, type 16",
      "17",
    ])
    const names = await linkNames("held:n2")
    expect([names.includes("one\0"), names.includes("two\0")]).toEqual([true, false])
  } finally {
    await ask(launcher.socket, [["netns-drop"], ["name", "n2"]])
  }
})

test("nf_tables batches are all or nothing and name the message that failed", async () => {
  await ask(launcher.socket, [["netns-create"], ["name", "n3"]])
  try {
    const table = nfTables(0, attribute(1, "mine"))
    expect((await inside("held:n3", at("inside", "netfilter", table))).report.kind).toBe("ok")
    const chain = nfTables(3, attribute(1, "missing"), attribute(3, "c"))
    expect((await inside("held:n3", at("inside", "netfilter", chain))).report.fields.slice(0, 3)).toEqual([
      "netlink",
      "message 2, type 2563",
      "2",
    ])
    const tables = await inside(
      "held:n3",
      at("inside", "netfilter", message(0xa01, REQUEST | DUMP, 9, family(0))),
    )
    expect(tables.data.includes("mine\0")).toBe(true)
    const elsewhere = await inside(
      "host",
      at("inside", "netfilter", message(0xa01, REQUEST | DUMP, 9, family(0))),
    )
    expect(elsewhere.data.includes("mine\0")).toBe(false)
  } finally {
    await ask(launcher.socket, [["netns-drop"], ["name", "n3"]])
  }
})

test("a batch of thousands of messages and a dump of hundreds of links fit", async () => {
  await ask(launcher.socket, [["netns-create"], ["name", "n4"]])
  try {
    const chains = Array.from({ length: 3000 }, (_, i) =>
      message(0xa03, REQUEST | ACK | CREATE, 3 + i, family(2), attribute(1, "t"), attribute(3, `chain-${i}`)),
    )
    const batch = [
      message(0x10, REQUEST, 1, family(0, 10)),
      message(0xa00, REQUEST | ACK | CREATE, 2, family(2), attribute(1, "t")),
      ...chains,
      message(0x11, REQUEST, 4000, family(0, 10)),
    ]
    expect((await inside("held:n4", at("inside", "netfilter", Buffer.concat(batch)))).report.kind).toBe("ok")
    const bridges = Buffer.concat(Array.from({ length: 200 }, (_, i) => newLink(`b${i}`, "bridge")))
    const { report, data } = await inside(
      "held:n4",
      at("inside", "route", bridges),
      at("inside", "route", message(18, REQUEST | DUMP, 7, link())),
      at("inside", "netfilter", message(0xa04, REQUEST | DUMP, 8, family(2))),
    )
    expect(report.kind).toBe("ok")
    expect([data.includes("b199\0"), data.includes("chain-2999\0")]).toEqual([true, true])
  } finally {
    await ask(launcher.socket, [["netns-drop"], ["name", "n4"]])
  }
})

test("namespaces are those asked for", async () => {
  await ask(launcher.socket, [["netns-create"], ["name", "n5"]])
  try {
    const own = statSync("/proc/self/ns/net").ino
    expect(own).toBe(statSync(`/proc/${launcher.process.pid}/ns/net`).ino)
    const bytes = newLink("only-there", "bridge")
    expect((await inside("held:n5", at("inside", "route", bytes))).report.kind).toBe("ok")
    expect(await linkNames("held:n5")).toContain("only-there\0")
    expect(await linkNames("host")).not.toContain("only-there\0")
    expect(await linkNames("/proc/self/ns/net")).not.toContain("only-there\0")
  } finally {
    await ask(launcher.socket, [["netns-drop"], ["name", "n5"]])
  }
})

test("malformed operations are refused before anything is sent", async () => {
  const good = message(18, REQUEST | DUMP, 1, link())
  const short = Buffer.from(good)
  short.writeUInt32LE(400, 0)
  const wrong: Operation[] = [
    ["netlink", "inside", "route", "abc"],
    ["netlink", "inside", "route", "AB"],
    ["netlink", "inside", "route", ""],
    ["netlink", "inside", "route"],
    ["netlink", "there", "route", good.toString("hex")],
    ["netlink", "inside", "audit", good.toString("hex")],
    at("inside", "route", short),
    at("inside", "route", good, good.length - 3, 4, "inside-fd"),
    at("inside", "route", good, 4, 8, "inside-fd"),
    at("inside", "route", good, 4, 4, "other-fd"),
    at("inside", "route", good, "-4", 4, "inside-fd"),
    at("inside", "route", good, 4, 4),
  ]
  for (const operation of wrong) expect((await inside("host", operation)).report.fields[2]).toBe("22")
  expect((await inside("held:none", at("inside", "route", good))).report.kind).toBe("failed")
})

test("a watch tells what happens from its first frame on, and ends with its client", async () => {
  await ask(launcher.socket, [["netns-create"], ["name", "n9"]])
  const connection = await connect(launcher.socket)
  try {
    connection.send([["netlink-watch"], ["namespace", "held:n9"], ["group", "netfilter", 7]])
    const first = await connection.frame()
    expect([first?.kind, first?.payload.length, first?.payload.readUInt16LE(4)]).toEqual([3, 16, 1])
    await inside("held:n9", at("inside", "netfilter", nfTables(0, attribute(1, "seen"))))
    const event = await connection.frame()
    expect(event?.payload.readUInt16LE(4)).toBe((10 << 8) | 0)
    expect(event?.payload.includes("seen\0")).toBe(true)
    const children = (): string =>
      readFileSync(`/proc/${launcher.process.pid}/task/${launcher.process.pid}/children`, "latin1").trim()
    const watching = children()
    expect(watching).not.toBe("")
    connection.close()
    for (let tries = 0; children() === watching; tries++) {
      expect(tries).toBeLessThan(200)
      await Bun.sleep(5)
    }
  } finally {
    connection.close()
    await ask(launcher.socket, [["netns-drop"], ["name", "n9"]])
  }
})

test("a watch whose client does not read says that it lost something, and keeps what is bounded", async () => {
  await ask(launcher.socket, [["netns-create"], ["name", "n10"]])
  const connection = await connect(launcher.socket)
  try {
    connection.send([["netlink-watch"], ["namespace", "held:n10"], ["group", "netfilter", 7]])
    await connection.frame()
    connection.socket.pause()
    const tables = (kind: number): Buffer =>
      Buffer.concat([
        message(0x10, REQUEST, 1, family(0, 10)),
        ...Array.from({ length: 400 }, (_, n) =>
          message(
            0xa00 + kind,
            REQUEST | ACK | CREATE,
            2,
            family(2),
            attribute(1, `${"a-table-with-a-long-name-".repeat(9)}${n}`),
          ),
        ),
        message(0x11, REQUEST, 3, family(0, 10)),
      ])
    for (let round = 0; round < 40; round++)
      await inside("held:n10", at("inside", "netfilter", tables(round % 2 ? 2 : 0)))
    connection.socket.resume()
    for (let lost = false; !lost; ) {
      const frame = await connection.frame()
      if (!frame) throw new Error("the watch ended")
      lost = frame.payload.readUInt16LE(4) === 4
    }
  } finally {
    connection.close()
    await ask(launcher.socket, [["netns-drop"], ["name", "n10"]])
  }
}, 30_000)

test("a watch without a group, or of a group that does not exist, fails", async () => {
  const watch = (...operations: readonly Operation[]) =>
    ask(launcher.socket, [["netlink-watch"], ["namespace", "host"], ...operations])
  expect((await watch()).fields[0]).toBe("group")
  expect((await watch(["group", "generic", 1])).fields.slice(0, 2)).toEqual(["group", "generic"])
  expect((await watch(["group", "netfilter", 0])).fields[3]).toBe("a group has a protocol and a number")
  expect((await watch(["group", "netfilter", 7], ["group", "route", 1])).fields[3]).toBe(
    "all groups of a watch are of one protocol",
  )
})
