// Real packets through the default bridge: between containers, this host and another host that the test makes.
import { afterAll, beforeAll, expect, test } from "bun:test"
import type { Ground, Place } from "../../test/fixtures/network-ground.ts"
import {
  here,
  joinRequest,
  openGround,
  peerSeenBy,
  run,
  somePort,
} from "../../test/fixtures/network-ground.ts"
import type { Attachment } from "./network.ts"

const port = somePort()
const localPort = port + 1
const udpPort = port + 2
const guardedPort = port + 3
const flowPort = port + 4
let ground: Ground
let web: Attachment
let webPlace: Place
let clientPlace: Place
let gateway: string
const addressOf = (attachment: Attachment): string => attachment.endpoints[0]?.ipv4 ?? ""

beforeAll(async () => {
  ground = await openGround()
  web = await ground.networks.join(
    joinRequest("web", [
      { hostPort: port },
      { hostPort: localPort, hostAddress: "127.0.0.1" },
      { hostPort: udpPort, protocol: "udp", containerPort: 53 },
    ]),
  )
  const client = await ground.networks.join(joinRequest("client"))
  webPlace = await ground.placeOf(web)
  clientPlace = await ground.placeOf(client)
  gateway = web.endpoints[0]?.gateway ?? ""
  await ground.serve(webPlace, 80)
  await ground.serve(ground.outside.place, 8080)
}, 60_000)
afterAll(async () => {
  await ground?.close()
})

test("a container reaches another host with this host's address", () => {
  expect(peerSeenBy(clientPlace, ground.outside.address, 8080)).toBe(ground.outside.hostAddress)
})

test("containers reach each other with their own addresses", () => {
  const own = run(...clientPlace, "hostname", "-I").trim()
  expect(peerSeenBy(clientPlace, addressOf(web), 80)).toBe(own)
})

test("another host reaches a published port, and its address is kept", () => {
  expect(peerSeenBy(ground.outside.place, ground.outside.hostAddress, port)).toBe(ground.outside.address)
})

test("this host reaches a published port at its own addresses and at 127.0.0.1", () => {
  expect(peerSeenBy(here, ground.outside.hostAddress, port)).toBe(ground.outside.hostAddress)
  expect(peerSeenBy(here, gateway, port)).toBe(gateway)
  expect(peerSeenBy(here, "127.0.0.1", port)).toBe(gateway)
})

test("containers reach a published port at this host's addresses, the publisher itself too", () => {
  expect(peerSeenBy(clientPlace, ground.outside.hostAddress, port)).toBeDefined()
  expect(peerSeenBy(webPlace, ground.outside.hostAddress, port)).toBe(gateway)
  expect(peerSeenBy(webPlace, gateway, port)).toBe(gateway)
})

test("a port published on 127.0.0.1 is reached from this host alone", () => {
  expect(peerSeenBy(here, "127.0.0.1", localPort)).toBe(gateway)
  expect(peerSeenBy(ground.outside.place, ground.outside.hostAddress, localPort)).toBeUndefined()
  expect(peerSeenBy(clientPlace, gateway, localPort)).toBeUndefined()
})

test("a neighbour that sends packets for 127.0.0.1 to this host does not reach a port published there", () => {
  const { place } = ground.outside
  for (const command of [
    ["sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1"],
    ["ip", "address", "delete", "127.0.0.1/8", "dev", "lo"],
    ["ip", "route", "add", "127.0.0.0/8", "via", ground.outside.hostAddress],
  ])
    run(...place, ...command)
  expect(peerSeenBy(place, "127.0.0.1", localPort)).toBeUndefined()
})

test("unpublished ports of a container are not reached from outside, even by its own address", () => {
  run(...ground.outside.place, "ip", "route", "replace", "172.16.0.0/12", "via", ground.outside.hostAddress)
  expect(peerSeenBy(ground.outside.place, addressOf(web), 80)).toBeUndefined()
})

test("route_localnet on the bridge does not let a container in at this host's 127.0.0.1 (CVE-2020-8558)", async () => {
  await ground.serve(here, guardedPort, "127.0.0.1")
  expect(peerSeenBy(here, "127.0.0.1", guardedPort)).toBe("127.0.0.1")
  for (const command of [
    ["sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1"],
    ["ip", "address", "delete", "127.0.0.1/8", "dev", "lo"],
    ["ip", "route", "add", "127.0.0.0/8", "via", gateway],
  ])
    run(...clientPlace, ...command)
  expect(peerSeenBy(clientPlace, "127.0.0.1", guardedPort)).toBeUndefined()
})

test("udp ports are published too", async () => {
  const script = `const s = require("node:dgram").createSocket("udp4")`
  const bun = process.execPath
  const server = Bun.spawn(
    [
      ...webPlace,
      bun,
      "-e",
      `${script}; s.on("message", (m, r) => s.send(m, r.port, r.address)); s.bind(53)`,
    ],
    { env: { ...process.env, BUN_BE_BUN: "1" } },
  )
  const { hostAddress, place } = ground.outside
  const client = Bun.spawn(
    [
      ...place,
      bun,
      "-e",
      `${script}; s.on("message", (m) => { console.log(String(m)); process.exit() });
       setInterval(() => s.send("hello", ${udpPort}, "${hostAddress}"), 100); setTimeout(process.exit, 3000)`,
    ],
    { stdout: "pipe" },
  )
  const text = await new Response(client.stdout).text()
  server.kill()
  expect(text).toBe("hello\n")
})

test("a udp client that never pauses is not kept on its way to nowhere when ports change hands", async () => {
  const { hostAddress, place } = ground.outside
  const script = `const s = require("node:dgram").createSocket("udp4")`
  const bun = process.execPath
  const client = Bun.spawn(
    [
      ...place,
      bun,
      "-e",
      `${script}; s.on("error", () => {}); s.on("message", (m) => console.log(String(m)));
       s.bind(7777, () => setInterval(() => s.send("hello", ${flowPort}, "${hostAddress}"), 30))`,
    ],
    { stdout: "pipe" },
  )
  const reader = client.stdout.getReader()
  const heard = async (wanted: string): Promise<boolean> => {
    const end = Date.now() + 5000
    for (let text = ""; Date.now() < end; ) {
      text += new TextDecoder().decode((await reader.read()).value)
      if (text.includes(wanted)) return true
    }
    return false
  }
  await Bun.sleep(200) // the flow exists now, untranslated
  const servers: ReturnType<typeof Bun.spawn>[] = []
  try {
    for (const name of ["first", "second"]) {
      const port = { hostPort: flowPort, protocol: "udp", containerPort: 53 } as const
      const attachment = await ground.networks.join(joinRequest(name, [port]))
      servers.push(
        Bun.spawn([
          ...(await ground.placeOf(attachment)),
          bun,
          "-e",
          `${script}; s.on("message", (m, r) => s.send("${name}", r.port, r.address)); s.bind(53)`,
        ]),
      )
      expect(await heard(name)).toBe(true)
      await ground.networks.leave(attachment.lease)
    }
  } finally {
    client.kill()
    for (const server of servers) server.kill()
  }
}, 20_000)

test("statistics mirror the host's end", async () => {
  const [eth0] = await ground.networks.statistics(web.lease)
  expect(eth0?.name).toBe("eth0")
  const own = JSON.parse(run(...webPlace, "ip", "-s", "-j", "link", "show", "eth0")) as {
    stats64: { rx: { packets: number }; tx: { packets: number } }
  }[]
  expect(eth0?.rxPackets).toBe(own[0]?.stats64.rx.packets ?? -1)
  expect(eth0?.txPackets).toBe(own[0]?.stats64.tx.packets ?? -1)
})

test("a port that was taken back is closed", async () => {
  await ground.networks.leave(web.lease)
  await Bun.sleep(50)
  expect(peerSeenBy(ground.outside.place, ground.outside.hostAddress, port)).toBeUndefined()
})
