// What a host's own firewall keeps from its ports it keeps from published ones: nft, ufw, firewalld and iptables alike.
import { afterAll, afterEach, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test"
import {
  type FirewallGround,
  feed,
  HOST,
  HOST6,
  inside,
  networkOf,
  OUTSIDE,
  OUTSIDE6,
  openFirewallGround,
  peerSeen,
} from "../../../../test/fixtures/firewall-ground.ts"
import type { PrivateNamespace } from "../../../../test/fixtures/private-namespace.ts"
import { Firewall } from "../firewall.ts"

const front = networkOf("front", "10.71.0.0/24", "fd71::/64")
// A way that is shut is found to be so by waiting.
setDefaultTimeout(60_000)
let ground: FirewallGround
let host: PrivateNamespace
let outside: PrivateNamespace
let neighbour: PrivateNamespace
let firewall: Firewall
let told: string[]

const nft = (text: string): void => feed(host, text, "nft", "-f", "-")
/** Waits until what another host sees at a port is as it should be. */
const seen = async (wanted: string | undefined, port: number, address = HOST): Promise<void> => {
  for (let tries = 0; tries < 30; tries++) {
    if (peerSeen(outside, address, port) === wanted) return
    await Bun.sleep(20)
  }
  expect(peerSeen(outside, address, port)).toBe(wanted)
}
const port = (hostPort: number, hostAddress = "0.0.0.0") =>
  ({
    protocol: "tcp",
    hostAddress,
    hostPort,
    address: hostAddress.includes(":") ? "fd71::2" : "10.71.0.2",
    port: 80,
  }) as const

beforeAll(async () => {
  ground = await openFirewallGround()
  ;({ host, outside } = ground)
  await ground.addBridge(front)
  const web = await ground.addContainer("front", "10.71.0.2/24", "fd71::2/64")
  neighbour = await ground.addContainer("front", "10.71.0.3/24")
  await ground.serve(web, 80, 9005)
}, 60_000)
afterAll(async () => {
  await ground?.close()
})
beforeEach(async () => {
  told = []
  firewall = new Firewall(ground.kernel, "sloop", { warn: (message) => told.push(message) })
  const range = { ...port(9000), port: 9000, count: 10 }
  const ports = [port(8080), port(8081, HOST), port(8080, "::"), range]
  await firewall.rebuild([front], ports)
  await firewall.watch()
})
afterEach(async () => {
  await firewall.remove()
  nft("flush ruleset")
})

test("a port that a table drops or rejects is closed as soon as it says so, and open again when it does not", async () => {
  await seen(OUTSIDE, 8080)
  nft(`table inet mine {
    set blocked { type inet_service; elements = { 8080 } }
    chain input {
      type filter hook input priority 0
      tcp dport @blocked drop
      tcp dport 8081 reject with tcp reset
      tcp dport { 9000-9004, 9006 } drop
    }
  }`)
  await seen(undefined, 8080)
  await seen(undefined, 8080, HOST6)
  await seen("refused", 8081)
  await seen(OUTSIDE, 9005)
  // What this host and its containers ask is not what another host asks.
  expect(peerSeen(host, HOST, 8080)).toBe(HOST)
  expect(peerSeen(neighbour, HOST, 8080)).toBe("10.71.0.1")
  nft("delete element inet mine blocked { 8080 }")
  await seen(OUTSIDE, 8080)
  await seen(OUTSIDE6, 8080, HOST6)
  nft("delete table inet mine")
  await seen(OUTSIDE, 8081)
  expect(told).toEqual([])
})

test("a table that drops whatever it does not accept opens what it accepts, and from where", async () => {
  nft(`table ip mine {
    chain input {
      type filter hook input priority 0; policy drop;
      ct state established,related accept
      iifname "lo" accept
      ip saddr ${OUTSIDE} tcp dport 8081 accept
      ip saddr 203.0.113.0/24 tcp dport 8080 accept
    }
  }`)
  await seen(undefined, 8080)
  await seen(OUTSIDE, 8081)
  // The table is for IPv4 alone.
  await seen(OUTSIDE6, 8080, HOST6)
})

test("chains, verdict maps and several tables are followed; each table has to accept", async () => {
  nft(`table inet one {
    chain web { tcp dport 8080 accept; return; }
    chain input {
      type filter hook input priority 0; policy drop;
      meta l4proto vmap { tcp : jump web, icmp : accept }
      tcp dport 8081 goto last
    }
    chain last { ip saddr != ${OUTSIDE} drop; accept; }
  }
  table inet two {
    chain input { type filter hook input priority 10; tcp dport 8081 drop; }
  }`)
  await seen(undefined, 8081)
  await seen(OUTSIDE, 8080)
  nft("delete table inet two")
  await seen(OUTSIDE, 8081)
  await seen(undefined, 9005)
})

test("rules as ufw writes them, through iptables-nft", async () => {
  const rules = `*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:ufw-before-input - [0:0]
:ufw-not-local - [0:0]
:ufw-user-input - [0:0]
:ufw-reject-input - [0:0]
:ufw-skip-to-policy-input - [0:0]
-A INPUT -j ufw-before-input
-A INPUT -j ufw-reject-input
-A ufw-before-input -i lo -j ACCEPT
-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-input -m conntrack --ctstate INVALID -j LOG --log-prefix "[UFW AUDIT INVALID] "
-A ufw-before-input -m conntrack --ctstate INVALID -j DROP
-A ufw-before-input -p icmp --icmp-type echo-request -j ACCEPT
-A ufw-before-input -p udp --sport 67 --dport 68 -j ACCEPT
-A ufw-before-input -j ufw-not-local
-A ufw-not-local -m addrtype --dst-type LOCAL -j RETURN
-A ufw-not-local -m addrtype --dst-type MULTICAST -j RETURN
-A ufw-not-local -m addrtype --dst-type BROADCAST -j RETURN
-A ufw-not-local -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW BLOCK] "
-A ufw-not-local -j DROP
-A ufw-before-input -j ufw-user-input
-A ufw-user-input -p tcp -m multiport --dports 22,8081 -m comment --comment "'two'" -j ACCEPT
-A ufw-user-input -p tcp --dport 9005 -s ${OUTSIDE} -j ACCEPT
-A ufw-reject-input -m addrtype --dst-type BROADCAST -j ufw-skip-to-policy-input
-A ufw-skip-to-policy-input -j DROP
COMMIT
`
  feed(host, rules, "iptables-nft-restore")
  await seen(undefined, 8080)
  await seen(OUTSIDE, 8081)
  await seen(OUTSIDE, 9005)
  inside(host, "iptables-nft", "-I", "ufw-user-input", "-p", "tcp", "--dport", "8080", "-j", "ACCEPT")
  await seen(OUTSIDE, 8080)
  inside(host, "iptables-nft", "-I", "ufw-user-input", "-p", "tcp", "--dport", "8080", "-j", "REJECT")
  await seen(undefined, 8080)
  expect(told).toEqual([])
})

test("rules as firewalld writes them", async () => {
  const rules = `table inet firewalld {
    chain filter_INPUT {
      type filter hook input priority filter + 10; policy accept;
      ct state { established, related } accept
      ct status dnat accept
      iifname "lo" accept
      ct state invalid drop
      jump filter_INPUT_ZONES
      reject with icmpx admin-prohibited
    }
    chain filter_INPUT_ZONES {
      iifname "out" goto filter_IN_public
      goto filter_IN_public
    }
    chain filter_IN_public {
      jump filter_IN_public_allow
      meta l4proto { icmp, ipv6-icmp } accept
    }
    chain filter_IN_public_allow { tcp dport 8081 accept; }
  }`
  nft(rules)
  await seen("refused", 8080)
  await seen(OUTSIDE, 8081)
  // A reload: everything of its own is deleted and made again.
  nft(
    `delete table inet firewalld\n${rules.replace("tcp dport 8081 accept", "tcp dport { 8080, 9000-9009 } accept")}`,
  )
  await seen("refused", 8081)
  await seen(OUTSIDE, 8080)
  await seen(OUTSIDE, 9005)
})

test("a rule that cannot be understood neither opens nor shuts alone, and is told", async () => {
  nft(`table ip mine {
    chain input {
      type filter hook input priority 0; policy accept;
      tcp dport 8080 meta skuid 0 drop
      tcp dport 8081 drop
    }
  }`)
  await seen(undefined, 8081)
  await seen(OUTSIDE, 8080)
  await Bun.sleep(50)
  expect(told).toHaveLength(1)
  expect(told[0]).toMatch(
    /^rule \d+ of chain input in firewall table ip mine is not heeded for published ports/,
  )
})

test("Docker's way is a switch", async () => {
  nft(`table inet mine {
    chain input { type filter hook input priority 0; policy drop; }
  }`)
  await seen(undefined, 8080)
  await firewall.remove()
  firewall = new Firewall(ground.kernel, "sloop", { mode: "docker" })
  await firewall.rebuild([front], [port(8080)])
  await seen(OUTSIDE, 8080)
})

test("chains that drop whatever they forward get exceptions at their end, and lose them with the engine", async () => {
  const shut = `table ip mine {
    chain forward {
      type filter hook forward priority 0; policy drop
      ip daddr ${OUTSIDE} tcp dport 8088 drop
    }
  }
  table inet strict {
    chain forward {
      type filter hook forward priority 10
      ct state established accept
      reject with icmpx admin-prohibited
    }
  }`
  await ground.serve(outside, 8087, 8088)
  nft(shut)
  const before = inside(host, "nft", "list", "tables")
  await Bun.sleep(100)
  expect(peerSeen(neighbour, OUTSIDE, 8087)).toBe(HOST)
  await seen(OUTSIDE, 8080)
  // What the host's rules drop stays dropped.
  expect(peerSeen(neighbour, OUTSIDE, 8088)).toBeUndefined()
  await firewall.addNetwork(networkOf("later", "10.79.0.0/24"))
  expect(inside(host, "nft", "list", "table", "ip", "mine").match(/"later" accept/g)).toHaveLength(2)
  await firewall.removeNetwork("later")
  expect(inside(host, "nft", "list", "ruleset")).not.toContain("later")
  nft(`delete table ip mine\ndelete table inet strict\n${shut}`)
  await Bun.sleep(100)
  expect(peerSeen(neighbour, OUTSIDE, 8087)).toBe(HOST)
  expect(inside(host, "nft", "list", "tables")).toBe(before)
  await firewall.remove()
  expect(inside(host, "nft", "list", "ruleset")).not.toContain("front")
  expect(told).toEqual([])
})

test("iptables lists and changes the chains that have our exceptions", async () => {
  inside(host, "iptables-nft", "-P", "FORWARD", "DROP")
  await Bun.sleep(100)
  expect(inside(host, "iptables-nft", "-S", "FORWARD")).toContain("-i front")
  inside(host, "iptables-nft", "-I", "FORWARD", "-s", "203.0.113.9", "-j", "DROP")
  await seen(OUTSIDE, 8080)
  inside(host, "iptables-nft", "-P", "FORWARD", "ACCEPT")
  await Bun.sleep(100)
  expect(inside(host, "iptables-nft", "-S", "FORWARD")).not.toContain("front")
})
