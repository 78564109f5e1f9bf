// The firewall's table: its rules as docs/network.md shows them, as the kernel keeps them, and its elements.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openTestKernel } from "../../../test/fixtures/launcher-kernel.ts"
import {
  inNamespace,
  makeNamespace,
  type PrivateNamespace,
} from "../../../test/fixtures/private-namespace.ts"
import type { Kernel } from "../../kernel/kernel.ts"
import { describeRuleset } from "./describe.ts"
import { Firewall } from "./firewall.ts"
import type { GuardedNetwork, Publication } from "./guard.ts"
import { mergePublications } from "./publications.ts"
import { ruleset } from "./ruleset.ts"

const nat = (subnet: string) => ({ subnet, mode: "nat", masquerade: true }) as const
const network = (bridge: string, ...subnets: GuardedNetwork["subnets"]): GuardedNetwork => ({
  bridge,
  subnets,
  internal: false,
  icc: true,
  trusted: [],
})
const bridge = network("br0", nat("172.17.0.0/16"), nat("fd00:17::/64"))
const web: Publication = {
  protocol: "tcp",
  hostAddress: "0.0.0.0",
  hostPort: 8080,
  address: "172.17.0.2",
  port: 80,
}
const names: Publication = {
  protocol: "udp",
  hostAddress: "127.0.0.1",
  hostPort: 5353,
  address: "172.17.0.3",
  port: 53,
}

let namespace: PrivateNamespace
const table = "sloop"
let kernel: Kernel
let stop: () => Promise<void>
let root: string
const listed = (...what: string[]): string =>
  spawnSync("nsenter", [`--net=${namespace.path}`, "nft", ...(what.length ? what : ["list", "ruleset"])], {
    encoding: "utf8",
  }).stdout
const elementsOf = (set: string): string =>
  /elements = \{([^}]*)\}/
    .exec(listed("list", "set", "inet", table, set) || listed("list", "map", "inet", table, set))?.[1]
    ?.replace(/\s+/g, " ")
    .trim() ?? ""

beforeAll(async () => {
  namespace = await makeNamespace()
  root = mkdtempSync(join(tmpdir(), "sloop-firewall-"))
  const opened = await openTestKernel(root)
  stop = opened.stop
  kernel = inNamespace(opened.kernel, namespace.path)
}, 60_000)
afterAll(async () => {
  await stop()
  await namespace.close()
  rmSync(root, { recursive: true, force: true })
})

test("docs/network.md shows the rules as they are", () => {
  const path = join(import.meta.dirname, "..", "..", "..", "docs", "network.md")
  const document = readFileSync(path, "utf8")
  const section = `<!-- rules: written by ruleset.test.ts -->\n\`\`\`\n${describeRuleset(ruleset(table))}\`\`\`\n<!-- end of rules -->`
  const fresh = document.replace(
    /<!-- rules: written by ruleset\.test\.ts -->[\s\S]*<!-- end of rules -->/,
    () => section,
  )
  if (process.env.UPDATE_GOLDEN) writeFileSync(path, fresh)
  else expect(document).toBe(fresh)
  expect(fresh).toContain(section)
})

test("the kernel keeps each rule as the words beside it say", async () => {
  const firewall = new Firewall(kernel, table)
  await firewall.rebuild([bridge], [])
  for (const { chain, rules } of ruleset(table).chains) {
    const lines = listed("list", "chain", "inet", table, chain.name).split("\n")
    for (const { purpose, parts } of rules) {
      const words = `${parts.map(({ nft }) => nft).join(" ")} comment "${purpose}"`
      expect(lines.map((line) => line.trim())).toContain(words)
    }
    expect(lines.filter((line) => line.includes("comment"))).toHaveLength(rules.length)
  }
  await firewall.remove()
  expect(listed()).toBe("")
})

test("ports come and go as elements; a range whose ports are the same inside is one element", async () => {
  const firewall = new Firewall(kernel, table)
  await firewall.rebuild([bridge], [web, names])
  expect(elementsOf("everywhere4")).toBe("tcp . 8080 : 172.17.0.2 . 80")
  expect(elementsOf("published4")).toBe("127.0.0.1 . udp . 5353 : 172.17.0.3 . 53")
  await firewall.unpublish([web])
  await firewall.unpublish([web])
  expect(elementsOf("everywhere4")).toBe("")
  const range: Publication = { ...web, hostPort: 9000, port: 9000, count: 1000 }
  const six: Publication = { ...web, hostAddress: "::", address: "fd00:17::2" }
  const offset: Publication = { ...web, hostAddress: "192.0.2.1", hostPort: 7000, port: 7100, count: 2 }
  await firewall.publish([range, six, offset])
  expect(elementsOf("ranges4")).toBe("0.0.0.0/0 . tcp . 9000-9999 : 172.17.0.2")
  expect(elementsOf("everywhere6")).toBe("tcp . 8080 : fd00:17::2 . 80")
  expect(elementsOf("published4").split(/, */).toSorted().slice(1)).toEqual([
    "192.0.2.1 . tcp . 7000 : 172.17.0.2 . 7100",
    "192.0.2.1 . tcp . 7001 : 172.17.0.2 . 7101",
  ])
  await firewall.unpublish([range, six, offset])
  expect(elementsOf("ranges4") + elementsOf("everywhere6")).toBe("")
  await firewall.remove()
})

test("ports that follow each other are one publication", () => {
  const ports = [3, 1, 2, 7].map((number) => ({ ...web, hostPort: 9000 + number, port: 80 + number }))
  expect(
    mergePublications([...ports, { ...web, hostPort: 9004, port: 85 }, { ...names, hostPort: 9004 }]),
  ).toEqual([
    { ...web, hostPort: 9001, port: 81, count: 3 },
    { ...web, hostPort: 9004, port: 85 },
    { ...web, hostPort: 9007, port: 87 },
    { ...names, hostPort: 9004 },
  ])
})

test("networks come and go as elements, whatever their kind", async () => {
  const firewall = new Firewall(kernel, table)
  await firewall.rebuild([], [])
  const bare = listed()
  const routed = network("br1", { subnet: "10.1.0.0/24", mode: "routed", masquerade: true })
  const open = network("br2", { subnet: "10.2.0.0/24", mode: "nat-unprotected", masquerade: false })
  const sourced = network("br3", { ...nat("10.3.0.0/24"), sourceAddress: "192.0.2.7" })
  const internal = { ...network("br4", nat("10.4.0.0/24")), internal: true }
  const alone = { ...network("br5", nat("10.5.0.0/24")), icc: false, trusted: ["eth9"] }
  for (const one of [routed, open, sourced, internal, alone]) await firewall.addNetwork(one)
  const routedPort: Publication = { ...web, address: "10.1.0.2", count: 3 }
  const hidden: Publication = { ...web, hostPort: 1, address: "10.4.0.2" }
  const elsewhere: Publication = { ...web, hostPort: 2, address: "10.5.0.2", otherSubnets: ["10.2.0.0/24"] }
  await firewall.publish([routedPort, hidden, elsewhere])
  expect(elementsOf("routed4")).toBe("10.1.0.0/24")
  expect(elementsOf("reachable4")).toBe("10.1.0.2 . tcp . 80-82")
  expect(elementsOf("open4")).toBe("10.2.0.0/24")
  expect(elementsOf("sources4")).toBe("10.3.0.0/24 : 192.0.2.7")
  expect(elementsOf("masqueraded4")).toBe("10.5.0.0/24")
  expect(elementsOf("from")).toBe('"br4" : drop')
  expect(elementsOf("together")).not.toContain('"br5" . "br5"')
  expect(elementsOf("together")).toContain('"eth9" . "br5"')
  expect(elementsOf("toward")).toContain('"br4" : goto to_internal')
  expect(elementsOf("everywhere4")).toBe("tcp . 2 : 10.5.0.2 . 80")
  expect(elementsOf("hairpin4")).toContain("10.2.0.0/24 . 10.5.0.2")
  // The same bridge anew, as another kind.
  await firewall.addNetwork({ ...internal, internal: false })
  expect(elementsOf("toward")).toContain('"br4" : goto to_containers')
  expect(elementsOf("from")).toBe("")
  await firewall.unpublish([routedPort, hidden, elsewhere])
  for (const name of ["br1", "br2", "br3", "br4", "br5", "unknown"]) await firewall.removeNetwork(name)
  expect(listed()).toBe(bare)
  await firewall.remove()
})

test("what cannot be published is refused, and nothing of it is kept", async () => {
  const firewall = new Firewall(kernel, table)
  await firewall.rebuild([bridge], [])
  const before = listed()
  const wrong: readonly Partial<Publication>[] = [
    { hostAddress: "::" },
    { address: "nowhere" },
    { hostPort: 65535, count: 2 },
  ]
  for (const one of wrong) await expect(firewall.publish([{ ...web, ...one }, web])).rejects.toThrow()
  expect(listed()).toBe(before)
  await firewall.remove()
})
