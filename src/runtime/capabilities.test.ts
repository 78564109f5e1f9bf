// Docker's rules for capabilities.
import { expect, test } from "bun:test"
import { capabilitiesOf, capabilityMask, capabilityNames, containerCapabilities } from "./capabilities.ts"

const everything = (1n << BigInt(capabilityNames.length)) - 1n
const withoutResource = everything & ~capabilityMask(["CAP_SYS_RESOURCE"])
const asked = (changes: { privileged?: boolean; capAdd?: string[]; capDrop?: string[] }) => ({
  privileged: false,
  capAdd: [],
  capDrop: [],
  ...changes,
})

test("without wishes there are Docker's fourteen", () => {
  const given = containerCapabilities(asked({}), everything)
  expect(given).toHaveLength(14)
  expect(capabilityMask(given).toString(16)).toBe("a80425fb")
})

test.each([
  [{ capAdd: ["net_admin"] }, ["CAP_NET_ADMIN"], []],
  [{ capAdd: ["CAP_SYS_TIME"], capDrop: ["chown"] }, ["CAP_SYS_TIME"], ["CAP_CHOWN"]],
  [{ capAdd: ["ALL"], capDrop: ["NET_RAW"] }, ["CAP_SYS_ADMIN", "CAP_BPF"], ["CAP_NET_RAW"]],
])("%o adds and drops", (wishes, has, lacks) => {
  const given = containerCapabilities(asked(wishes), everything)
  for (const name of has) expect(given).toContain(name)
  for (const name of lacks) expect(given).not.toContain(name)
})

test("dropping all leaves what was added", () => {
  expect(containerCapabilities(asked({ capDrop: ["all"] }), everything)).toEqual([])
  expect(containerCapabilities(asked({ capDrop: ["ALL"], capAdd: ["KILL"] }), everything)).toEqual([
    "CAP_KILL",
  ])
})

test("privileged is everything that the engine itself has", () => {
  expect(containerCapabilities(asked({ privileged: true }), withoutResource)).toEqual(
    capabilitiesOf(withoutResource),
  )
  expect(containerCapabilities(asked({ capAdd: ["ALL"] }), withoutResource)).toEqual(
    capabilitiesOf(withoutResource),
  )
})

test("unknown and unavailable capabilities are named", () => {
  expect(() => containerCapabilities(asked({ capAdd: ["fly"] }), everything)).toThrow(
    'invalid CapAdd: unknown capability: "CAP_FLY"',
  )
  expect(() => containerCapabilities(asked({ capDrop: ["CAP_FLY"] }), everything)).toThrow(
    'invalid CapDrop: unknown capability: "CAP_FLY"',
  )
  expect(() => containerCapabilities(asked({ capAdd: ["SYS_RESOURCE"] }), withoutResource)).toThrow(
    'not available in the current environment: "CAP_SYS_RESOURCE"',
  )
})
