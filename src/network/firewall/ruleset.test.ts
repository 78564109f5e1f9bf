// The firewall's table as golden text and golden messages, and as the kernel and nft read it.
import { expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openTestKernel } from "../../../test/fixtures/launcher-kernel.ts"
import { fakeKernel } from "../../kernel/fake.ts"
import { createChain, encode } from "../../kernel/netlink/netlink.ts"
import { parseSubnet } from "../ipam/subnet.ts"
import { describeRuleset } from "./describe.ts"
import { Firewall } from "./firewall.ts"
import type { Publication } from "./ruleset.ts"
import { rebuildMessages, ruleset } from "./ruleset.ts"

const bridges = [{ name: "sloop0", subnet: parseSubnet("172.17.0.0/16") }]
const publications: Publication[] = [
  { protocol: "tcp", hostAddress: "0.0.0.0", hostPort: 8080, address: "172.17.0.2", port: 80 },
  { protocol: "udp", hostAddress: "127.0.0.1", hostPort: 5353, address: "172.17.0.3", port: 53 },
]

/** Compares with a file of testfiles/; UPDATE_GOLDEN=1 writes it anew. */
const expectGolden = (name: string, text: string): void => {
  const path = join(import.meta.dirname, "testfiles", name)
  if (process.env.UPDATE_GOLDEN) writeFileSync(path, text)
  expect(text).toBe(readFileSync(path, "utf8"))
}

test("the default bridge's rules, in words", () => {
  expectGolden("default-bridge.rules", describeRuleset(ruleset("sloop", bridges)))
})

test("the default bridge's rules, as messages", () => {
  const lines = rebuildMessages(ruleset("sloop", bridges), publications).map((message) =>
    encode([message]).bytes.toString("hex"),
  )
  expectGolden("default-bridge.hex", `${lines.join("\n")}\n`)
})

test("the default bridge's rules, as nft reads them back", async () => {
  const table = `sloop-test${randomBytes(3).toString("hex")}`
  const root = mkdtempSync(join(tmpdir(), "sloop-firewall-"))
  const { kernel, stop } = await openTestKernel(root)
  const listed = (): string => spawnSync("nft", ["list", "table", "ip", table], { encoding: "utf8" }).stdout
  try {
    const firewall = new Firewall(kernel, table)
    // A bridge name that no interface has: nothing of this host is touched.
    await firewall.rebuild([{ name: "slgolden", subnet: parseSubnet("198.19.0.0/24") }], publications)
    expectGolden("default-bridge.nft", listed().replaceAll(table, "sloop"))
    await firewall.unpublish(publications.slice(0, 1))
    expect(listed()).not.toContain("8080")
    expect(listed()).toContain("127.0.0.1 . udp . 5353 : 172.17.0.3 . 53")
    await firewall.publish(publications.slice(0, 1))
    expect(listed()).toContain("tcp . 8080 : 172.17.0.2 . 80")
    await firewall.remove()
    expect(listed()).toBe("")
  } finally {
    spawnSync("nft", ["delete", "table", "ip", table])
    await stop()
    rmSync(root, { recursive: true, force: true })
  }
}, 60_000)

test("a foreign chain that drops forwarded packets by its policy is told", async () => {
  const at = (policy: "accept" | "drop", table: string, name: string) =>
    createChain(
      { family: 2, name: table },
      { name, hook: { type: "filter", at: "forward", priority: 0, policy } },
    )
  const kernel = fakeKernel({
    // What the kernel lists has the shape of what creates it.
    receive: () => [
      encode([at("drop", "filter", "FORWARD"), at("accept", "other", "forward"), at("drop", "sloop", "x")])
        .bytes,
    ],
  })
  expect(await new Firewall(kernel, "sloop").warnings()).toEqual([
    "chain FORWARD of firewall table filter drops forwarded packets by its policy: containers may not reach other hosts, nor be reached at published ports from there, until it accepts them",
  ])
})
