// Leases outlive daemons: what an older one wrote is understood, what nobody wrote is refused.
import { expect, test } from "bun:test"
import { readLease, writeLease } from "./lease.ts"

test("a lease of before networks could be made is understood", () => {
  const first = JSON.stringify({
    version: 1,
    container: "c",
    held: "sloop0.172.17.0.2.aa",
    link: "vethsl01",
    address: "172.17.0.2",
    ports: [{ protocol: "tcp", containerPort: 80, hostAddress: "0.0.0.0", hostPort: 8080 }],
  })
  const lease = readLease(first, "bridge-id")
  expect(lease.endpoints).toHaveLength(1)
  expect(lease.endpoints[0]).toMatchObject({
    link: "vethsl01",
    record: { network: "bridge-id", networkName: "bridge", ipv4: "172.17.0.2", interfaceName: "eth0" },
  })
  expect(lease.ports).toHaveLength(1)
  expect(readLease(writeLease(lease), "other-id")).toMatchObject(lease)
})

test("other text is refused", () => {
  for (const text of [
    "",
    "{",
    "null",
    "[]",
    '{"version":3}',
    '{"version":2,"container":"c"}',
    '{"version":1}',
  ])
    expect(() => readLease(text, "b")).toThrow(/network lease/)
})
