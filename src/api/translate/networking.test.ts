// Networks between API versions: what older clients say elsewhere, and what they are shown.
import { expect, test } from "bun:test"
import * as v from "valibot"
import { busyboxConfig } from "../../runtime/testing/fixtures.ts"
import type { ContainerRecord, EndpointRecord } from "../../state/state.ts"
import { createRequestSchema, networkCreateSchema } from "../../wire/wire.ts"
import { endpointSummaries, endpointViews, mainMac } from "./endpoints.ts"
import { endpointRequests } from "./networking.ts"
import { networkCreate, networkView } from "./networks.ts"

const request = (body: Record<string, unknown>) => v.parse(createRequestSchema, { Image: "x", ...body })
const endpoints = (minor: number, config: Record<string, unknown>, more: Record<string, unknown> = {}) =>
  endpointRequests(request({ NetworkingConfig: { EndpointsConfig: config }, ...more }), minor)

test("several endpoints came with 1.44, gateway priorities with 1.48", () => {
  const config = { a: { GwPriority: 3 }, b: null }
  expect(() => endpoints(43, config)).toThrow(
    "Container cannot be created with multiple network endpoints: a, b",
  )
  expect(endpoints(47, config).networks).toEqual([
    { network: "a", aliases: [], links: [] },
    { network: "b", aliases: [], links: [] },
  ])
  expect(endpoints(51, config).networks[0]).toEqual({
    network: "a",
    aliases: [],
    links: [],
    gatewayPriority: 3,
  })
})

test("the container's own MAC address goes to the network of its mode", () => {
  const mac = { MacAddress: "02:42:00:00:00:01", HostConfig: { NetworkMode: "mine" } }
  const old = endpoints(43, {}, mac)
  expect(old).toEqual({
    networks: [{ network: "mine", aliases: [], links: [], macAddress: "02:42:00:00:00:01" }],
    sysctls: {},
    warnings: [],
  })
  const now = endpoints(51, { mine: { Aliases: ["a"] } }, mac)
  expect(now.networks[0]).toMatchObject({ network: "mine", macAddress: "02:42:00:00:00:01" })
  expect(now.warnings).toEqual([
    "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.",
  ])
  expect(() => endpoints(51, { mine: { MacAddress: "02:42:00:00:00:02" } }, mac)).toThrow("must match")
  expect(() => endpoints(51, { other: {} }, mac)).toThrow(
    "HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks",
  )
  expect(() => endpoints(43, {}, { ...mac, HostConfig: { NetworkMode: "host" } })).toThrow(
    "conflicting options: mac-address and the network mode",
  )
  // Before 1.44 the endpoint's own was not known.
  expect(endpoints(43, { mine: { MacAddress: "02:42:00:00:00:02" } }).networks[0]).not.toHaveProperty(
    "macAddress",
  )
})

test("settings of one interface go to its endpoint, until clients must say so themselves", () => {
  const host = {
    HostConfig: {
      NetworkMode: "mine",
      Sysctls: { "net.ipv4.conf.eth0.forwarding": "1", "kernel.msgmax": "9" },
    },
  }
  const old = endpoints(46, {}, host)
  expect(old.sysctls).toEqual({ "kernel.msgmax": "9" })
  expect(old.networks[0]?.driverOptions).toEqual({
    "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.forwarding=1",
  })
  expect(old.warnings[0]).toStartWith('Migrated sysctl "net.ipv4.conf.eth0.forwarding" to DriverOpts')
  expect(() => endpoints(48, {}, host)).toThrow("must be supplied using driver option")
})

const asked = (body: Record<string, unknown>, minor = 51) =>
  networkCreate(v.parse(networkCreateSchema, { Name: "n", ...body }), minor)

test("a network's families: by fields, by options, by version", () => {
  expect(asked({})).toMatchObject({ ipv4: true, ipv6: false, ipam: { driver: "default", pools: [] } })
  expect(asked({ EnableIPv4: false, EnableIPv6: true })).toMatchObject({ ipv4: false, ipv6: true })
  expect(asked({ EnableIPv4: false }, 47)).toMatchObject({ ipv4: true })
  expect(asked({ Options: { "com.docker.network.enable_ipv6": "true" } })).toMatchObject({ ipv6: true })
  expect(() => asked({ Options: { "com.docker.network.enable_ipv6": "perhaps" } })).toThrow(
    'driver-opt "com.docker.network.enable_ipv6" is not a valid bool',
  )
  expect(() => asked({ Ingress: true })).toThrow("Ingress network can only be global scope network")
  expect(() => asked({ ConfigFrom: { Network: "x" } })).toThrow("configuration-only networks")
})

const endpoint: EndpointRecord = {
  network: "11".repeat(32),
  networkName: "mine",
  endpointId: "22".repeat(32),
  ipv4: "10.0.0.2",
  ipv4PrefixLength: 24,
  gateway: "10.0.0.1",
  macAddress: "02:42:0a:00:00:02",
  aliases: ["api"],
  dnsNames: ["web", "api", "33".repeat(6), "host"],
}
const record = (changes: Partial<ContainerRecord>): ContainerRecord => ({
  id: "33".repeat(32),
  name: "web",
  createdAt: 0,
  imageId: "",
  path: "",
  args: [],
  config: busyboxConfig({
    hostname: "host",
    networkMode: "mine",
    networks: [{ network: "mine", aliases: ["api"], links: [], ipv4: "10.0.0.2" }],
  }),
  snapshot: "",
  mountPoints: [],
  status: "running",
  pid: 1,
  exitCode: 0,
  oomKilled: false,
  error: "",
  startedAt: 1,
  finishedAt: 0,
  restartCount: 0,
  stoppedByUser: false,
  endpoints: [endpoint],
  publishedPorts: [],
  ...changes,
})

test("an endpoint shows its settings and, while it lasts, its addresses", () => {
  expect(endpointViews(record({}), 51).mine).toMatchObject({
    IPAMConfig: { IPv4Address: "10.0.0.2" },
    Aliases: ["api"],
    NetworkID: endpoint.network,
    IPAddress: "10.0.0.2",
    DNSNames: ["web", "api", "333333333333", "host"],
  })
  expect(endpointViews(record({}), 44).mine?.Aliases).toEqual(["api", "333333333333", "host"])
  expect(endpointViews(record({ endpoints: [] }), 51).mine).toMatchObject({
    Aliases: ["api"],
    NetworkID: "",
    EndpointID: "",
    IPAddress: "",
    DNSNames: null,
  })
  expect(endpointSummaries(record({})).mine).toMatchObject({ Aliases: null, DNSNames: null })
  const off = record({ endpoints: [], config: { ...record({}).config, networks: [], offNetworks: true } })
  expect(endpointViews(off, 51)).toEqual({})
})

test("the MAC address that was asked for is where old clients look", () => {
  expect(mainMac(record({}).config)).toEqual({})
  const networks = [{ network: "mine", aliases: [], links: [], macAddress: "02:42:00:00:00:09" }]
  expect(mainMac({ ...record({}).config, networks })).toEqual({ MacAddress: "02:42:00:00:00:09" })
})

test("inspect of a network tells of the containers that are on it", () => {
  const network = {
    id: endpoint.network,
    name: "mine",
    driver: "bridge",
    createdAt: 0,
    internal: false,
    attachable: false,
    ipv6: false,
    options: {},
    labels: {},
    subnets: [{ subnet: "10.0.0.0/24", gateway: "10.0.0.1", chosen: true }],
  }
  const view = networkView(network, [record({})])
  expect(view.Containers).toEqual({
    [record({}).id]: {
      Name: "web",
      EndpointID: endpoint.endpointId,
      MacAddress: endpoint.macAddress,
      IPv4Address: "10.0.0.2/24",
      IPv6Address: "",
    },
  })
  expect(view.IPAM).toEqual({
    Driver: "default",
    Options: null,
    Config: [{ Subnet: "10.0.0.0/24", Gateway: "10.0.0.1" }],
  })
  expect(networkView({ ...network, subnets: [] }, []).IPAM.Config).toBeNull()
})
