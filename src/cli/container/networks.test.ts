// --network in its long form and with the older flags beside it.
import { expect, test } from "bun:test"
import { parseFlags } from "../flags.ts"
import { createFlags } from "./flags.ts"
import { readNetworking } from "./networks.ts"

const read = (...words: string[]) =>
  readNetworking(parseFlags([...words, "image"], createFlags, { interspersed: false }))

test("nothing asked for is nothing said", () => {
  expect(read()).toEqual({ mode: "default", endpoints: {} })
  expect(read("--network", "host")).toEqual({ mode: "host", endpoints: {} })
  expect(read("--net", "mine")).toEqual({ mode: "mine", endpoints: {} })
})

test("several networks, the first with the older flags", () => {
  const words = [
    "--network",
    "a",
    "--network",
    "name=b,alias=x,alias=y,ip=10.0.0.9,driver-opt=k=v,gw-priority=-3",
  ]
  expect(read(...words, "--network-alias", "z", "--ip6", "fd00::9", "--link", "db:d")).toEqual({
    mode: "a",
    endpoints: {
      a: {
        Aliases: ["z"],
        Links: ["db:d"],
        IPAMConfig: { IPv4Address: undefined, IPv6Address: "fd00::9", LinkLocalIPs: [] },
      },
      b: {
        Aliases: ["x", "y"],
        DriverOpts: { k: "v" },
        IPAMConfig: { IPv4Address: "10.0.0.9", IPv6Address: undefined, LinkLocalIPs: [] },
        GwPriority: -3,
      },
    },
  })
})

test("what cannot be meant is refused in docker's words", () => {
  expect(() => read("--network", "a", "--network", "a")).toThrow('network "a" is specified multiple times')
  expect(() => read("--network", "a", "--network", "bridge")).toThrow(
    "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
  )
  expect(() => read("--network", "name=a,ip=10.0.0.1", "--ip", "10.0.0.2")).toThrow(
    "conflicting options: cannot specify both --ip and per-network IPv4 address",
  )
  expect(() => read("--network-alias", "x")).toThrow(
    "network-scoped aliases are only supported for user-defined networks",
  )
  expect(() => read("--network", "name=a,color=red")).toThrow("invalid field key color")
  expect(() => read("--network", "alias=a,ip=1")).toThrow("network name/id is not specified")
  expect(() => read("--network", "name=a,gw-priority=x")).toThrow("invalid gw-priority (x): invalid syntax")
})
