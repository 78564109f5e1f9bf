// What a container may ask of networks, refused in Docker's words.
import { expect, test } from "bun:test"
import { busyboxConfig } from "../../runtime/testing/fixtures.ts"
import type { NetworkRecord, NetworkRequest } from "../../state/state.ts"
import { checkEndpoint, checkNetworks, checkTogether } from "./check.ts"
import { namedNetworks, networksOf, plainRequest } from "./requests.ts"

const network = (name: string, subnets: NetworkRecord["subnets"]): NetworkRecord => ({
  id: name.padEnd(64, "0"),
  name,
  driver: "bridge",
  createdAt: 0,
  internal: false,
  attachable: false,
  ipv6: false,
  options: {},
  labels: {},
  subnets,
})
const bridge = network("bridge", [{ subnet: "172.17.0.0/16", gateway: "172.17.0.1" }])
const own = network("own", [
  { subnet: "10.5.0.0/24", gateway: "10.5.0.1" },
  { subnet: "fd00:5::/64", gateway: "fd00:5::1" },
])
const chosen = network("chosen", [{ subnet: "172.18.0.0/16", gateway: "172.18.0.1", chosen: true }])
const networks = { find: (reference: string) => [bridge, own, chosen].find(({ name }) => name === reference) }
const ask = (name: string, more: Partial<NetworkRequest> = {}): NetworkRequest => ({
  ...plainRequest(name),
  ...more,
})

test("addresses and aliases are for networks of the user's own", () => {
  const check = (name: string, more: Partial<NetworkRequest>) => () =>
    checkNetworks(networks, busyboxConfig({ networkMode: name, networks: [ask(name, more)] }))
  expect(check("bridge", { ipv4: "172.17.0.9" })).toThrow(
    "invalid config for network bridge: invalid endpoint settings:\nuser specified IP address is supported on user defined networks only",
  )
  expect(check("bridge", { aliases: ["a"] })).toThrow(
    "network-scoped alias is supported only for containers in user defined networks",
  )
  expect(check("bridge", { ipv4: "172.17.0.9", aliases: ["a"] })).toThrow(
    "invalid endpoint settings:\n* user specified IP address is supported on user defined networks only\n* network-scoped alias",
  )
  expect(check("chosen", { ipv4: "172.18.0.9" })).toThrow(
    "user specified IP address is supported only when connecting to networks with user configured subnets",
  )
  expect(check("own", { ipv4: "10.6.0.9" })).toThrow(
    "no configured subnet or ip-range contain the IP address 10.6.0.9",
  )
  expect(check("own", { ipv4: "10.5.0.9", ipv6: "fd00:5::9", aliases: ["a"] })).not.toThrow()
  expect(check("absent", { ipv4: "10.5.0.9" })).not.toThrow()
})

test("malformed settings are named", () => {
  const check = (more: Partial<NetworkRequest>) => () => checkEndpoint(own, ask("own", more))
  expect(check({ ipv4: "10.5.0" })).toThrow("invalid IPv4 address: 10.5.0")
  expect(check({ ipv4: "0.0.0.0" })).toThrow("invalid IPv4 address: 0.0.0.0")
  expect(check({ ipv6: "10.5.0.1" })).toThrow("invalid IPv6 address: 10.5.0.1")
  expect(check({ linkLocal: ["x"] })).toThrow("invalid link-local IP address: x")
  expect(check({ macAddress: "02:42" })).toThrow("invalid MAC address 02:42")
  expect(check({ aliases: ["a b"] })).toThrow('invalid network-scoped alias: "a b"')
  expect(
    check({ driverOptions: { "com.docker.network.endpoint.sysctls": "net.ipv4.conf.eth0.x=1" } }),
  ).toThrow("unrecognised network interface sysctl 'net.ipv4.conf.eth0.x=1'")
  expect(
    check({ driverOptions: { "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.x=1" } }),
  ).not.toThrow()
})

test("host and none stand alone", () => {
  expect(() => checkTogether("own", ["own", "host"])).toThrow("cannot connect container to host network")
  expect(() => checkTogether("host", ["host", "own"])).toThrow("container sharing network namespace")
  expect(() => checkTogether("none", ["none", "own"])).toThrow("private (none) mode")
  expect(() => checkTogether("own", ["own", "bridge"])).not.toThrow()
})

test("a new container is on the network of its mode, unless others are asked for", () => {
  expect(networksOf("default", [])).toEqual([plainRequest("bridge")])
  expect(networksOf("own", [])).toEqual([plainRequest("own")])
  expect(networksOf("container:x", [])).toEqual([])
  expect(networksOf("default", [ask("default", { aliases: ["a"] })])).toEqual([
    ask("bridge", { aliases: ["a"] }),
  ])
})

test("a network asked for by id is remembered by name, a mode by its whole id", () => {
  const config = busyboxConfig({
    networkMode: own.id.slice(0, 8),
    networks: [plainRequest(own.id.slice(0, 8))],
  })
  const byId = {
    find: (reference: string) => (own.id.startsWith(reference) ? own : networks.find(reference)),
  }
  expect(namedNetworks(byId, config)).toMatchObject({ networkMode: own.id, networks: [plainRequest("own")] })
  const absent = busyboxConfig({ networkMode: "later", networks: [plainRequest("later")] })
  expect(namedNetworks(byId, absent)).toMatchObject({
    networkMode: "later",
    networks: [plainRequest("later")],
  })
})
