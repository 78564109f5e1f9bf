// Host ports: explicit, ranges, random, conflicts; what is bound on this host for real.
import { expect, test } from "bun:test"
import { createSocket } from "node:dgram"
import { once } from "node:events"
import { boundTest, isUdpBound, parseUdpTable } from "./bound.ts"
import { inodesAt } from "./holder.ts"
import { HostPorts, wantedPorts } from "./host-ports.ts"

const free = () => undefined
const tcp = { protocol: "tcp", containerPort: 80, hostAddress: "" } as const

test("an explicit port is given once, whichever addresses overlap", () => {
  const ports = new HostPorts()
  expect(ports.allocate("a", [{ ...tcp, hostPort: 8080 }], { bound: free })).toEqual([
    { protocol: "tcp", containerPort: 80, hostAddress: "0.0.0.0", hostPort: 8080 },
  ])
  for (const hostAddress of ["", "0.0.0.0", "127.0.0.1"])
    expect(() => ports.allocate("b", [{ ...tcp, hostAddress, hostPort: 8080 }], { bound: free })).toThrow(
      `Bind for ${hostAddress || "0.0.0.0"}:8080 failed: port is already allocated`,
    )
  ports.allocate("b", [{ ...tcp, protocol: "udp", hostPort: 8080 }], { bound: free })
  ports.allocate("b", [{ ...tcp, hostAddress: "127.0.0.1", hostPort: 81 }], { bound: free })
  ports.allocate("b", [{ ...tcp, hostAddress: "127.0.0.2", hostPort: 81 }], { bound: free })
  expect(ports.owner("tcp", "", 81)).toBe("b")
})

test("a request is given all of its ports or none", () => {
  const ports = new HostPorts()
  ports.allocate("a", [{ ...tcp, hostPort: 90 }], { bound: free })
  expect(() =>
    ports.allocate(
      "b",
      [
        { ...tcp, hostPort: 89 },
        { ...tcp, hostPort: 90 },
      ],
      { bound: free },
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
    [ports.allocate("a", [range], { bound: inUse }), ports.allocate("b", [range], { bound: inUse })]
      .flat()
      .map((p) => p.hostPort),
  ).toEqual([100, 102])
  expect(() => ports.allocate("c", [range], { bound: inUse })).toThrow("Bind for 0.0.0.0:100-102 failed")
})

test("random ports are ephemeral ones that differ", () => {
  const ports = new HostPorts()
  const given = ports
    .allocate(
      "a",
      Array.from({ length: 50 }, () => ({ ...tcp })),
      { bound: free },
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
    expect(bound("tcp", "::", listener.port)).toBeUndefined()
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

test("without an address a port is of each family that the container has, at one number", () => {
  const ports = new HostPorts()
  const both = { families: [4, 6], bound: free } as const
  expect(ports.allocate("a", [{ ...tcp, hostPort: 80 }], both).map((port) => port.hostAddress)).toEqual([
    "0.0.0.0",
    "::",
  ])
  const [four, six] = ports.allocate("a", [tcp], both)
  expect(four?.hostPort).toBe(six?.hostPort ?? 0)
  expect(() => ports.allocate("b", [{ ...tcp, hostAddress: "::1", hostPort: 80 }], both)).toThrow(
    "Bind for [::1]:80 failed: port is already allocated",
  )
  ports.allocate("b", [{ ...tcp, hostAddress: "127.0.0.1", hostPort: 81 }], both)
  ports.allocate("c", [{ ...tcp, hostAddress: "::1", hostPort: 81 }], both)
  expect(() => ports.allocate("d", [{ ...tcp, hostPort: 81 }], both)).toThrow("0.0.0.0:81 failed")
})

test("a conflict names the container, or the process, that has the port", () => {
  const ports = new HostPorts()
  ports.allocate("4f5e", [{ ...tcp, hostPort: 8080 }], { bound: free })
  const options = { bound: free, nameOf: (id: string) => (id === "4f5e" ? "/web" : undefined) }
  expect(() => ports.allocate("b", [{ ...tcp, hostPort: 8080 }], options)).toThrow(
    "Bind for 0.0.0.0:8080 failed: port is already allocated (container web has it)",
  )
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } })
  try {
    expect(() =>
      ports.allocate("b", [{ ...tcp, hostAddress: "127.0.0.1", hostPort: listener.port }]),
    ).toThrow(
      new RegExp(
        `^failed to bind host port for 127.0.0.1:${listener.port}/tcp: address already in use \\(process .+, pid ${process.pid}, has it\\)$`,
      ),
    )
  } finally {
    listener.stop(true)
  }
})

test("sockets that keep a port from being bound are told from others", () => {
  const table = [
    "  sl  local_address rem_address   st tx_queue:rx_queue tr:tm->when retrnsmt   uid  timeout inode",
    "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100",
    "   1: 0200007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12 1 0 100",
    "   2: 0100007F:1F90 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 13 1 0 100",
    "",
  ].join("\n")
  expect([...inodesAt(table, "tcp", "127.0.0.1", 8080)]).toEqual(["11"])
  expect([...inodesAt(table, "tcp", "0.0.0.0", 8080)]).toEqual(["11", "12"])
  expect([...inodesAt(table, "tcp", "0.0.0.0", 8081)]).toEqual([])
})

test("an address that is none, or of a family that the container lacks, is refused", () => {
  const ports = new HostPorts()
  expect(() =>
    ports.allocate("a", [{ ...tcp, hostAddress: "nowhere", hostPort: 1 }], { bound: free }),
  ).toThrow('invalid IP address: "nowhere"')
  expect(() => ports.allocate("a", [{ ...tcp, hostAddress: "::1", hostPort: 1 }], { bound: free })).toThrow(
    "put it on a network made with --ipv6",
  )
})

test("a thousand ports are allocated in a fraction of the time that they may take", () => {
  const ports = new HostPorts()
  const first = 40_000
  const wanted = Array.from({ length: 1000 }, (_, index) => ({ ...tcp, hostPort: first + index }))
  const start = performance.now()
  expect(ports.allocate("a", wanted, { bound: free })).toHaveLength(1000)
  expect(performance.now() - start).toBeLessThan(50)
})

test("a port whose container has just gone is waited for until its monitor lets go of it", async () => {
  const ports = new HostPorts()
  let held = true
  const bound = (): string | undefined => (held ? "address already in use" : undefined)
  const wanted = [{ ...tcp, hostPort: 8080 }]
  await expect(ports.allocateWhenFree("a", wanted, { bound })).rejects.toThrow("already in use")
  held = false
  const given = await ports.allocateWhenFree("a", wanted, { bound })
  held = true
  ports.release("a", given)
  setTimeout(() => {
    held = false
  }, 20)
  expect(await ports.allocateWhenFree("b", wanted, { bound })).toEqual(given)
})
