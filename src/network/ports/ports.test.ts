// Host ports: explicit, ranges, random, conflicts; what is bound on this host for real.
import { expect, test } from "bun:test"
import { createSocket } from "node:dgram"
import { once } from "node:events"
import { boundTest, isUdpBound, parseUdpTable } from "./bound.ts"
import { HostPorts, wantedPorts } from "./host-ports.ts"

const free = () => undefined
const tcp = { protocol: "tcp", containerPort: 80, hostAddress: "" } as const

test("an explicit port is given once, whichever addresses overlap", () => {
  const ports = new HostPorts()
  expect(ports.allocate("a", [{ ...tcp, hostPort: 8080 }], free)).toEqual([
    { protocol: "tcp", containerPort: 80, hostAddress: "0.0.0.0", hostPort: 8080 },
  ])
  for (const hostAddress of ["", "0.0.0.0", "127.0.0.1"])
    expect(() => ports.allocate("b", [{ ...tcp, hostAddress, hostPort: 8080 }], free)).toThrow(
      `Bind for ${hostAddress || "0.0.0.0"}:8080 failed: port is already allocated`,
    )
  ports.allocate("b", [{ ...tcp, protocol: "udp", hostPort: 8080 }], free)
  ports.allocate("b", [{ ...tcp, hostAddress: "127.0.0.1", hostPort: 81 }], free)
  ports.allocate("b", [{ ...tcp, hostAddress: "127.0.0.2", hostPort: 81 }], free)
  expect(ports.owner("tcp", "", 81)).toBe("b")
})

test("a request is given all of its ports or none", () => {
  const ports = new HostPorts()
  ports.allocate("a", [{ ...tcp, hostPort: 90 }], free)
  expect(() =>
    ports.allocate(
      "b",
      [
        { ...tcp, hostPort: 89 },
        { ...tcp, hostPort: 90 },
      ],
      free,
    ),
  ).toThrow()
  expect(ports.owner("tcp", "", 89)).toBeUndefined()
  ports.release("b", [{ ...tcp, hostAddress: "0.0.0.0", hostPort: 90 }])
  expect(ports.owner("tcp", "", 90)).toBe("a")
})

test("a range gives its first free port", () => {
  const ports = new HostPorts()
  const range = { ...tcp, hostPort: 100, hostPortEnd: 102 }
  const inUse = (_: string, __: string, port: number) => (port === 101 ? "address already in use" : undefined)
  expect(
    [ports.allocate("a", [range], inUse), ports.allocate("b", [range], inUse)].flat().map((p) => p.hostPort),
  ).toEqual([100, 102])
  expect(() => ports.allocate("c", [range], inUse)).toThrow("Bind for 0.0.0.0:100-102 failed")
})

test("random ports are ephemeral ones that differ", () => {
  const ports = new HostPorts()
  const given = ports
    .allocate(
      "a",
      Array.from({ length: 50 }, () => ({ ...tcp })),
      free,
    )
    .map((p) => p.hostPort)
  expect(new Set(given).size).toBe(50)
  expect(Math.min(...given)).toBeGreaterThanOrEqual(32768)
  expect(Math.max(...given)).toBeLessThanOrEqual(60999)
})

test("publishing all adds the exposed ports that were not asked for", () => {
  const asked = [{ ...tcp, hostPort: 1 }]
  const wanted = wantedPorts(asked, ["80/tcp", "53/udp", "9000-9001", "nonsense", "0/tcp"], true)
  expect(wanted.map((port) => `${port.containerPort}/${port.protocol}`)).toEqual([
    "80/tcp",
    "53/udp",
    "9000/tcp",
    "9001/tcp",
  ])
  expect(wantedPorts(asked, ["81/tcp"], false)).toEqual(asked)
})

test("sockets of this host are noticed", async () => {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } })
  const udp = createSocket("udp4")
  udp.bind(0, "127.0.0.1")
  await once(udp, "listening")
  try {
    const bound = boundTest()
    for (const address of ["0.0.0.0", "127.0.0.1"]) {
      expect(bound("tcp", address, listener.port)).toBe("address already in use")
      expect(bound("udp", address, udp.address().port)).toBe("address already in use")
    }
    expect(bound("udp", "127.0.0.9", udp.address().port)).toBeUndefined()
    expect(bound("tcp", "203.0.113.7", 8080)).toBe("cannot assign requested address")
  } finally {
    listener.stop(true)
    udp.close()
  }
})

test("a listed socket on :: holds IPv4's port too", () => {
  const sockets = parseUdpTable(
    [
      "  sl  local_address rem_address   st tx_queue",
      "  1: 00000000000000000000000000000000:14E9 00000000000000000000000000000000:0000 07",
      "  2: 0100007F:0035 00000000:0000 07",
      "",
    ].join("\n"),
  )
  expect(isUdpBound(sockets, "10.0.0.1", 5353)).toBe(true)
  expect(isUdpBound(sockets, "0.0.0.0", 53)).toBe(true)
  expect(isUdpBound(sockets, "10.0.0.1", 53)).toBe(false)
})

test("an address that is none, or IPv6, is refused", () => {
  const ports = new HostPorts()
  expect(() => ports.allocate("a", [{ ...tcp, hostAddress: "nowhere", hostPort: 1 }], free)).toThrow(
    'invalid IP address: "nowhere"',
  )
  expect(() => ports.allocate("a", [{ ...tcp, hostAddress: "::1", hostPort: 1 }], free)).toThrow(
    "has no IPv6",
  )
})
