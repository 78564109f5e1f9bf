// The way out among several networks: Docker's order.
import { expect, test } from "bun:test"
import type { NetworkRecord } from "../../state/state.ts"
import { type Candidate, inGatewayOrder, waysOut } from "./gateway.ts"

const candidate = (
  name: string,
  more: { priority?: number; internal?: boolean; gateway4?: string; gateway6?: string } = {},
): Candidate => {
  const network: NetworkRecord = {
    id: name,
    name,
    driver: "bridge",
    createdAt: 0,
    internal: more.internal ?? false,
    attachable: false,
    ipv6: false,
    options: {},
    labels: {},
    subnets: [],
  }
  const record = { network: name, networkName: name, endpointId: name, macAddress: "", aliases: [] }
  const { gateway4, gateway6 } = more
  return {
    network,
    endpoint: { record, link: "", priority: more.priority ?? 0 },
    ...(gateway4 === undefined ? {} : { gateway4 }),
    ...(gateway6 === undefined ? {} : { gateway6 }),
  }
}
const order = (...candidates: Candidate[]): string =>
  inGatewayOrder(candidates)
    .map(({ network }) => network.name)
    .join(" ")

test("priority, then networks with a way out, then both families, then the name", () => {
  const plain = (name: string) => candidate(name, { gateway4: "10.0.0.1" })
  expect(order(plain("b"), plain("a"))).toBe("a b")
  expect(order(plain("a"), candidate("z", { gateway4: "10.0.0.1", gateway6: "fd00::1" }))).toBe("z a")
  expect(order(candidate("a", { internal: true }), plain("b"))).toBe("b a")
  expect(order(plain("a"), candidate("z", { internal: true, priority: 1 }))).toBe("z a")
})

test("each family goes out where it can", () => {
  const six = candidate("a", { gateway6: "fd00::1" })
  const four = candidate("b", { gateway4: "10.0.0.1" })
  const { ipv4, ipv6 } = waysOut([six, four])
  expect([ipv4?.network.name, ipv6?.network.name]).toEqual(["b", "a"])
  // Whoever is on the link answers: a way out without a gateway's address.
  expect(waysOut([candidate("l3", { gateway4: "" })]).ipv4?.gateway4).toBe("")
  expect(waysOut([candidate("in", { internal: true })])).toEqual({})
})
