// What others do to tables: ours is back within milliseconds, and isolation does not depend on who came first.
import { afterAll, afterEach, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import {
  type FirewallGround,
  feed,
  HOST,
  inside,
  networkOf,
  OUTSIDE,
  openFirewallGround,
  peerSeen,
} from "../../../test/fixtures/firewall-ground.ts"
import type { PrivateNamespace } from "../../../test/fixtures/private-namespace.ts"
import { Firewall } from "./firewall.ts"

const front = networkOf("front", "10.71.0.0/24")
const back = networkOf("back", "10.72.0.0/24")
const web = {
  protocol: "tcp",
  hostAddress: "0.0.0.0",
  hostPort: 8080,
  address: "10.71.0.2",
  port: 80,
} as const
// A way that is shut is found to be so by waiting.
setDefaultTimeout(60_000)
let ground: FirewallGround
let host: PrivateNamespace
let other: PrivateNamespace
let server: PrivateNamespace
let firewall: Firewall
let told: string[]

const nft = (text: string): void => feed(host, text, "nft", "-f", "-")
const tables = (): string => inside(host, "nft", "list", "tables")
/** Milliseconds until the table and its elements are there again. */
const untilBack = async (): Promise<number> => {
  const start = performance.now()
  while (told.length === 0) {
    if (performance.now() - start > 5000) throw new Error("the table was not put back")
    await Bun.sleep(1)
  }
  return performance.now() - start
}

beforeAll(async () => {
  ground = await openFirewallGround()
  ;({ host } = ground)
  for (const network of [front, back]) await ground.addBridge(network)
  server = await ground.addContainer("front", "10.71.0.2/24")
  other = await ground.addContainer("back", "10.72.0.2/24")
  await ground.serve(server, 80)
}, 60_000)
afterAll(async () => {
  await ground?.close()
})
beforeEach(async () => {
  told = []
  firewall = new Firewall(ground.kernel, "sloop", { warn: (message) => told.push(message) })
  await firewall.rebuild([front, back], [web])
  await firewall.watch()
})
afterEach(async () => {
  await firewall.remove()
  nft("flush ruleset")
})

test("a flush of everything is undone within milliseconds, isolation and ports alike (CVE-2025-54388, -54410)", async () => {
  const before = inside(host, "nft", "list", "ruleset")
  const times: number[] = []
  for (let round = 0; round < 5; round++) {
    told = []
    nft("flush ruleset")
    times.push(await untilBack())
    expect(inside(host, "nft", "list", "ruleset")).toBe(before)
    expect(told).toEqual(["firewall table sloop was put back after nft had changed it"])
  }
  expect(times.toSorted((one, two) => one - two)[2]).toBeLessThan(100)
  expect(peerSeen(ground.outside, HOST, 8080)).toBe(OUTSIDE)
  expect(peerSeen(other, "10.71.0.2", 80)).toBeUndefined()
  expect(peerSeen(ground.outside, "10.71.0.2", 80)).toBeUndefined()
})

test("what others change inside the table is undone too: rules, elements, chains", async () => {
  const before = inside(host, "nft", "list", "ruleset")
  for (const change of [
    "flush chain inet sloop to_containers",
    'delete element inet sloop bridges { "back" }',
    "add rule inet sloop forward accept",
    "flush table inet sloop",
    "delete table inet sloop",
  ]) {
    told = []
    nft(change)
    await untilBack()
    expect(inside(host, "nft", "list", "ruleset")).toBe(before)
  }
})

test("a connection that slipped through while the table was gone does not live on", async () => {
  await firewall.close()
  nft("delete table inet sloop")
  const script = `const s = require("node:net").connect(80, "10.71.0.2", () => console.log("open"));
    s.on("data", (d) => console.log("data")); s.on("error", () => {}); setTimeout(() => s.write("GET / HTTP/1.0\\r\\n\\r\\n"), 600); setTimeout(() => process.exit(), 1500)`
  const client = Bun.spawn(["nsenter", `--net=${other.path}`, process.execPath, "-e", script], {
    stdout: "pipe",
    env: { ...process.env, BUN_BE_BUN: "1" },
  })
  const reader = client.stdout.getReader()
  expect(new TextDecoder().decode((await reader.read()).value)).toBe("open\n")
  firewall = new Firewall(ground.kernel, "sloop", { warn: (message) => told.push(message) })
  await firewall.rebuild([front, back], [web])
  expect((await reader.read()).done).toBe(true)
})

test("changes of other tables, and our own, leave the table alone", async () => {
  nft("add table ip somebody")
  await firewall.publish([{ ...web, hostPort: 8081 }])
  await firewall.addNetwork(networkOf("third", "10.73.0.0/24"))
  nft("delete table ip somebody")
  await Bun.sleep(100)
  expect(told).toEqual([])
  expect(tables()).toBe("table inet sloop\n")
})

test("no packet between networks gets through while networks and ports come and go, and the host's rules reload", async () => {
  const script = `let through = 0, tries = 0; const net = require("node:net");
    const next = () => { const s = net.connect(80, "10.71.0.2"); tries++;
      const end = () => { s.destroy(); setTimeout(next, 1) };
      s.on("connect", () => { through++; end() }); s.on("error", end); setTimeout(end, 20) };
    for (let n = 0; n < 8; n++) next(); setTimeout(() => { console.log(through, tries > 100); process.exit() }, 2500)`
  const client = Bun.spawn(["nsenter", `--net=${other.path}`, process.execPath, "-e", script], {
    stdout: "pipe",
    env: { ...process.env, BUN_BE_BUN: "1" },
  })
  const end = Date.now() + 2300
  for (let round = 0; Date.now() < end; round++) {
    const passing = networkOf(`n${round}`, "10.80.0.0/24")
    await firewall.addNetwork(passing)
    const port = { ...web, hostPort: 9000 + round }
    await firewall.publish([port])
    if (round % 5 === 0) nft(`table inet reloaded { set s { type inet_service; }\n }`)
    if (round % 5 === 1) await firewall.rebuild()
    await firewall.unpublish([port])
    await firewall.removeNetwork(passing.bridge)
    if (round % 5 === 4) nft("delete table inet reloaded")
  }
  expect(await new Response(client.stdout).text()).toBe("0 true\n")
  nft("table inet reloaded")
})

test("the watch is one process that sleeps, and is begun anew when it ends", async () => {
  const watchers = (): string[] =>
    readdirSync("/proc").filter((pid) => {
      try {
        return (
          readFileSync(`/proc/${pid}/comm`, "latin1") === "sloop-launcher\n" &&
          readFileSync(`/proc/${pid}/net/dev`, "latin1").includes("front:")
        )
      } catch {
        return false // it has ended
      }
    })
  // Requests are processes too, for as long as they last.
  for (let tries = 0; watchers().length !== 1 && tries < 100; tries++) await Bun.sleep(10)
  const [watcher = ""] = watchers()
  expect(watchers()).toEqual([watcher])
  const ticks = (): string =>
    readFileSync(`/proc/${watcher}/stat`, "latin1").split(" ").slice(13, 15).join(" ")
  const before = ticks()
  await Bun.sleep(200)
  expect(ticks()).toBe(before)
  process.kill(Number(watcher), "SIGKILL")
  // Nobody noticed what was done meanwhile: the table is put back all the same.
  nft("flush ruleset")
  await untilBack()
  expect(tables()).toBe("table inet sloop\n")
  told = []
  nft("flush ruleset")
  await untilBack()
})
