// Networks of the user's own by the docker client: two tiers as compose makes them, names, addresses, living changes.
import { afterAll, expect } from "bun:test"
import { eventually, startEngine } from "../fixtures/engine.ts"
import { proof } from "./proof.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { docker, ok } = engine
const block = process.pid % 200
/** A container that serves its hostname over HTTP on port 80. */
const web = (name: string, ...flags: string[]) =>
  ok("run", "-d", "--name", name, "--hostname", name, ...flags, "busybox", "httpd", "-f", "-h", "/etc")
const reaches = async (from: string, to: string): Promise<string> =>
  (await docker("exec", from, "timeout", "3", "wget", "-qO-", `http://${to}/hostname`)).stdout.trim()
const inspect = (template: string, name: string) => ok("inspect", "-f", template, name)
const links = async (name: string) => (await ok("exec", name, "ls", "/sys/class/net")).split("\n").join(" ")
const refused = async (message: string, ...words: string[]) => {
  const result = await docker(...words)
  expect({ code: result.code > 0, said: result.stderr }).toEqual({
    code: true,
    said: expect.stringContaining(message),
  })
}

proof(
  ["network create", "network ls", "network inspect", "network rm", "run --network", "run --network-alias"],
  "two tiers: names and aliases resolve on a network, and not across",
  async () => {
    await ok("network", "create", "front")
    await ok("network", "create", "back", "--label", "tier=back")
    await web("database", "--network", "back", "--network-alias", "db")
    await web("app", "--network", "back", "--network", "name=front,alias=api")
    await web("proxy", "--network", "front")
    expect(await reaches("app", "database")).toBe("database")
    expect(await reaches("app", "db")).toBe("database")
    expect(await reaches("proxy", "api")).toBe("app")
    expect(await reaches("proxy", "app")).toBe("app")
    expect(await reaches("proxy", "database")).toBe("")
    const address = await inspect('{{(index .NetworkSettings.Networks "back").IPAddress}}', "database")
    expect(await reaches("app", address)).toBe("database")
    expect(await reaches("proxy", address)).toBe("")
    expect(await ok("network", "inspect", "-f", "{{range .Containers}}{{.Name}} {{end}}", "front")).toMatch(
      /^(app proxy|proxy app) $/,
    )
    expect(
      await ok("network", "ls", "--filter", "label=tier=back", "--format", "{{.Name}} {{.Driver}}"),
    ).toBe("back bridge")
    expect(await ok("ps", "--filter", "network=front", "--format", "{{.Names}}")).toBe("proxy\napp")
    await refused('network back has active endpoints (name:"', "network", "rm", "back")
    await ok("rm", "-f", "database", "app", "proxy")
    expect(await ok("network", "rm", "front", "back")).toBe("front\nback")
    await refused("network front not found", "network", "inspect", "front")
  },
)

proof(
  ["network connect", "network disconnect", "network connect --alias"],
  "a living container is put on a network and taken off",
  async () => {
    await ok("network", "create", "late")
    await web("guest")
    await web("host-side", "--network", "late")
    expect(await reaches("guest", "host-side")).toBe("")
    const before = await ok("exec", "guest", "stat", "-c", "%i", "/etc/hosts")
    await ok("network", "connect", "--alias", "visitor", "late", "guest")
    expect(await reaches("guest", "host-side")).toBe("host-side")
    expect(await reaches("host-side", "visitor")).toBe("guest")
    const address = await inspect('{{(index .NetworkSettings.Networks "late").IPAddress}}', "guest")
    expect(await ok("exec", "guest", "cat", "/etc/hosts")).toMatch(new RegExp(`^${address}\tguest$`, "m"))
    expect(await ok("exec", "guest", "stat", "-c", "%i", "/etc/hosts")).toBe(before)
    expect(await ok("exec", "guest", "cat", "/etc/resolv.conf")).toContain("nameserver 127.0.0.11")
    await refused(
      "endpoint with name guest already exists in network late",
      "network",
      "connect",
      "late",
      "guest",
    )
    await ok("restart", "-t", "0", "guest")
    expect(await reaches("guest", "host-side")).toBe("host-side")
    await ok("network", "disconnect", "late", "guest")
    expect(await reaches("guest", "host-side")).toBe("")
    await eventually("its link is gone", async () => (await links("guest")) === "eth0 lo")
    await refused("is not connected to network late", "network", "disconnect", "late", "guest")
    await ok("network", "disconnect", "bridge", "guest")
    await eventually("its last link is gone", async () => (await links("guest")) === "lo")
    await ok("network", "connect", "late", "guest")
    expect(await reaches("guest", "host-side")).toBe("host-side")
    await ok("rm", "-f", "guest", "host-side")
    await ok("network", "rm", "late")
  },
  60_000,
)

proof(
  ["network connect", "network disconnect"],
  "what a user wrote into hosts and resolv.conf stays; containers that share the network see it all",
  async () => {
    await ok("network", "create", "shared-net")
    await web("server", "--network", "shared-net")
    await web("owner")
    await ok("run", "-d", "--name", "lodger", "--network", "container:owner", "busybox", "sleep", "1000")
    const read = (file: string) => ok("exec", "lodger", "cat", `/etc/${file}`)
    await ok("exec", "owner", "sh", "-c", "echo '10.9.9.9 mine' >> /etc/hosts")
    await ok("network", "connect", "shared-net", "owner")
    const address = await inspect('{{(index .NetworkSettings.Networks "shared-net").IPAddress}}', "owner")
    expect(await read("hosts")).toContain("10.9.9.9 mine")
    expect(await read("hosts")).toContain(`${address}\towner`)
    expect(await reaches("lodger", "server")).toBe("server")
    await ok("exec", "owner", "sh", "-c", "echo 'nameserver 10.8.8.8' > /etc/resolv.conf")
    await ok("network", "disconnect", "shared-net", "owner")
    expect(await read("hosts")).toContain("10.9.9.9 mine")
    expect(await read("hosts")).not.toContain(address)
    await ok("network", "connect", "shared-net", "owner")
    expect(await read("resolv.conf")).toBe("nameserver 10.8.8.8")
    await ok("rm", "-f", "server", "lodger", "owner")
    await ok("network", "rm", "shared-net")
  },
)

proof(
  ["network connect", "network disconnect --force"],
  "a stopped container remembers its networks; one that is gone keeps it from starting",
  async () => {
    await ok("network", "create", "one")
    await ok("network", "create", "two")
    await ok("create", "--name", "sleeper", "--network", "one", "busybox", "sleep", "1000")
    await ok("network", "connect", "two", "sleeper")
    expect(await inspect("{{range $k, $v := .NetworkSettings.Networks}}{{$k}} {{end}}", "sleeper")).toBe(
      "one two ",
    )
    await ok("start", "sleeper")
    expect(await ok("exec", "sleeper", "ls", "/sys/class/net")).toBe("eth0\neth1\nlo")
    await ok("stop", "-t", "0", "sleeper")
    await ok("network", "disconnect", "one", "sleeper")
    await ok("network", "rm", "one")
    await ok("start", "sleeper")
    expect(await ok("exec", "sleeper", "ls", "/sys/class/net")).toBe("eth0\nlo")
    await ok("stop", "-t", "0", "sleeper")
    await ok("network", "rm", "two")
    await refused("not found", "start", "sleeper")
    expect(await inspect("{{.State.Status}}", "sleeper")).toBe("exited")
    await ok("network", "disconnect", "-f", "two", "sleeper")
    await ok("start", "sleeper")
    await ok("rm", "-f", "sleeper")
  },
)

proof(
  [
    "network create --subnet",
    "network create --gateway",
    "network create --ip-range",
    "network create --aux-address",
    "network create --ipv6",
    "network create --opt",
    "network create --internal",
    "run --ip",
    "run --ip6",
    "network connect --ip",
    "network connect --ip6",
  ],
  "chosen subnets, gateways and addresses, both families",
  async () => {
    const four = `10.${block}.7`
    const six = `fd00:${block}:7`
    const words = ["--subnet", `${four}.0/24`, "--gateway", `${four}.9`, "--ip-range", `${four}.128/25`]
    const aux = ["--aux-address", `router=${four}.130`, "--ipv6", "--subnet", `${six}::/64`]
    await ok("network", "create", ...words, ...aux, "-o", "com.docker.network.driver.mtu=1400", "mine")
    await web("fixed", "--network", "mine", "--ip", `${four}.200`, "--ip6", `${six}::77`)
    await web("free", "--network", "mine")
    expect(await inspect("{{.NetworkSettings.Networks.mine.IPAddress}}", "fixed")).toBe(`${four}.200`)
    expect(await inspect("{{.NetworkSettings.Networks.mine.GlobalIPv6Address}}", "fixed")).toBe(`${six}::77`)
    expect(await inspect("{{.NetworkSettings.Networks.mine.Gateway}}", "fixed")).toBe(`${four}.9`)
    const free = await inspect("{{.NetworkSettings.Networks.mine.IPAddress}}", "free")
    expect(Number(free.split(".")[3])).toBeGreaterThanOrEqual(128)
    expect(free).not.toBe(`${four}.130`)
    expect(await reaches("free", `[${six}::77]`)).toBe("fixed")
    expect(await reaches("free", "fixed")).toBe("fixed")
    expect(await ok("exec", "free", "cat", "/sys/class/net/eth0/mtu")).toBe("1400")
    await refused(
      "Address already in use",
      "run",
      "--rm",
      "--network",
      "mine",
      "--ip",
      `${four}.200`,
      "busybox",
      "true",
    )
    await refused(
      "no configured subnet or ip-range contain the IP address 10.0.0.1",
      "run",
      "--rm",
      "--network",
      "mine",
      "--ip",
      "10.0.0.1",
      "busybox",
      "true",
    )
    await refused(
      "Pool overlaps with other one on this address space",
      "network",
      "create",
      "--subnet",
      `${four}.0/25`,
      "other",
    )
    const mac = "02:42:ac:11:00:98"
    const addressed = ["run", "--rm", "--network", `name=mine,mac-address=${mac},alias=x`, "busybox"]
    expect(await ok(...addressed, "cat", "/sys/class/net/eth0/address")).toBe(mac)
    await web("joiner")
    await ok("network", "connect", "--ip", `${four}.201`, "--ip6", `${six}::78`, "mine", "joiner")
    expect(await inspect("{{.NetworkSettings.Networks.mine.IPAMConfig}}", "joiner")).toBe(
      `{${four}.201 ${six}::78 []}`,
    )
    expect(await reaches("free", `${four}.201`)).toBe("joiner")
    await ok("network", "create", "plain")
    await refused(
      "only when connecting to networks with user configured subnets",
      "network",
      "connect",
      "--ip",
      "172.30.0.9",
      "plain",
      "joiner",
    )
    await ok("network", "create", "--internal", "inner")
    await web("inside", "--network", "inner", "-p", "127.0.0.1::80")
    expect(await ok("port", "inside")).toBe("")
    expect((await docker("exec", "inside", "ip", "route")).stdout).not.toContain("default")
    // Docker tells of gateways that were given, or chosen with their subnet.
    await ok("network", "create", "--subnet", `10.${block}.9.0/24`, "given")
    const config = (name: string) => ok("network", "inspect", "-f", "{{json .IPAM.Config}}", name)
    expect(await config("given")).toBe(`[{"Subnet":"10.${block}.9.0/24"}]`)
    expect(await config("plain")).toMatch(/^\[{"Subnet":"[\d./]+","Gateway":"[\d.]+"}\]$/)
    expect(await config("mine")).toContain(`"IPRange":"${four}.128/25","Gateway":"${four}.9"`)
    await ok("network", "rm", "given")
    await ok("rm", "-f", "fixed", "free", "joiner", "inside")
    await ok("network", "rm", "mine", "plain", "inner")
  },
  60_000,
)

proof(
  ["network connect --gw-priority", "run --publish"],
  "the network with the highest priority leads out, and a port is published through one of several",
  async () => {
    await ok("network", "create", "aa")
    await ok("network", "create", "bb")
    const gateway = (name: string) =>
      ok("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", name)
    const route = async () => (await ok("exec", "both", "ip", "route")).match(/default via (\S+)/)?.[1]
    await web("both", "--network", "aa", "-p", "127.0.0.1::80")
    expect(await route()).toBe(await gateway("aa"))
    await ok("network", "connect", "--gw-priority", "5", "bb", "both")
    expect(await route()).toBe(await gateway("bb"))
    const published = await ok("port", "both", "80")
    const page = async () => {
      try {
        return (await fetch(`http://${published}/hostname`, { signal: AbortSignal.timeout(2000) })).text()
      } catch {
        return ""
      }
    }
    await eventually("it serves by either network", async () => (await page()) === "both\n")
    await ok("network", "disconnect", "bb", "both")
    expect(await route()).toBe(await gateway("aa"))
    await eventually("it serves by the other network", async () => (await page()) === "both\n")
    await ok("rm", "-f", "both")
    await ok("network", "rm", "aa", "bb")
  },
)

proof(["events", "network prune", "rename"], "events, pruning, and names that change", async () => {
  const since = String(Math.floor(Date.now() / 1000))
  await ok("network", "create", "told", "--label", "keep=yes")
  await ok("network", "create", "unused")
  await web("former", "--network", "told")
  await web("asker", "--network", "told")
  expect(await reaches("asker", "former")).toBe("former")
  await ok("rename", "former", "latter")
  expect(await reaches("asker", "latter")).toBe("former")
  expect(await ok("network", "prune", "-f", "--filter", "label!=keep=yes")).toBe(
    "Deleted Networks:\nunused\n",
  )
  await ok("rm", "-f", "latter", "asker")
  expect(await ok("network", "prune", "-f", "--filter", "until=1h")).toBe("")
  expect(await ok("network", "prune", "-f")).toBe("Deleted Networks:\ntold\n")
  const lines = await ok(
    "events",
    "--since",
    since,
    "--until",
    String(Math.ceil(Date.now() / 1000)),
    "--filter",
    "type=network",
    "--format",
    "{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.type}}",
  )
  const told = lines.split("\n").filter((line) => line.includes("told"))
  expect(told).toEqual([
    "create told bridge",
    "connect told bridge",
    "connect told bridge",
    "disconnect told bridge",
    "disconnect told bridge",
    "destroy told bridge",
  ])
  expect(lines).toContain("prune")
})

proof(
  [
    "network create --attachable",
    "network create --driver",
    "network create --ipv4",
    "network create --ipam-opt",
    "network create --label",
    "network ls --filter",
    "network ls --no-trunc",
    "network ls --quiet",
    "network inspect --format",
    "network inspect --verbose",
    "network rm --force",
    "network prune --filter",
    "network prune --force",
  ],
  "what a network was asked to be is shown, found and honoured",
  async () => {
    const flags = ["--driver", "bridge", "--attachable", "--label", "team=a", "--ipam-opt", "x=y"]
    const id = await ok("network", "create", ...flags, "--ipv4=false", "--ipv6", "six-only")
    expect(id).toMatch(/^[0-9a-f]{64}$/)
    const shown = await ok(
      "network",
      "inspect",
      "--verbose",
      "--format",
      "{{.Attachable}} {{.Driver}} {{.EnableIPv4}} {{.EnableIPv6}} {{.Labels}} {{.IPAM.Options}}",
      "six-only",
    )
    expect(shown).toBe("true bridge false true map[team:a] map[x:y]")
    expect(await ok("network", "ls", "-q", "--no-trunc", "--filter", "label=team=a")).toBe(id)
    expect(await ok("network", "ls", "--quiet", "--filter", "name=six")).toBe(id.slice(0, 12))
    await web("six-a", "--network", "six-only")
    await web("six-b", "--network", id.slice(0, 10))
    expect(await reaches("six-a", "six-b")).toBe("six-b")
    expect(await inspect('{{(index .NetworkSettings.Networks "six-only").IPAddress}}', "six-a")).toBe("")
    expect(
      await inspect('{{(index .NetworkSettings.Networks "six-only").GlobalIPv6Address}}', "six-a"),
    ).toMatch(/^f[cd]/)
    await ok("rm", "-f", "six-a", "six-b")
    expect(await ok("network", "prune", "--force", "--filter", "label=team=b")).toBe("")
    expect(await ok("network", "prune", "--force", "--filter", "label=team=a")).toContain("six-only")
    expect(await ok("network", "rm", "--force", "six-only")).toBe("")
  },
)

proof(
  [
    "network connect --link",
    "network connect --link-local-ip",
    "network connect --driver-opt",
    "run --link-local-ip",
    "run --link",
  ],
  "links are names of one container alone; link-local addresses; an interface's name",
  async () => {
    await ok("network", "create", "linked")
    await web("store", "--network", "linked")
    await web("reader", "--network", "linked", "--link", "store:shelf", "--link-local-ip", "169.254.9.8")
    await web("other", "--network", "linked")
    expect(await reaches("reader", "shelf")).toBe("store")
    expect(await reaches("other", "shelf")).toBe("")
    expect(await ok("exec", "reader", "ip", "-o", "address", "show", "eth0")).toContain("169.254.9.8/")
    await web("late-reader")
    const options = ["--link", "store:books", "--link-local-ip", "169.254.9.9"]
    const name = ["--driver-opt", "com.docker.network.endpoint.ifname=lan7"]
    await ok("network", "connect", ...options, ...name, "linked", "late-reader")
    expect(await reaches("late-reader", "books")).toBe("store")
    expect(await ok("exec", "late-reader", "ip", "-o", "address", "show", "lan7")).toContain("169.254.9.9/")
    // A link of the old kind whose other end has stopped is no obstacle.
    await web("old-store")
    await web("old-reader", "--link", "old-store:old")
    await ok("stop", "-t", "0", "old-store")
    await ok("network", "connect", "linked", "old-reader")
    expect(await reaches("old-reader", "store")).toBe("store")
    await ok("rm", "-f", "old-store", "old-reader", "store", "reader", "other", "late-reader")
    await ok("network", "rm", "linked")
  },
)

proof(["network create", "network rm", "network connect"], "what is refused, in Docker's words", async () => {
  await refused("operation is not permitted on predefined bridge network", "network", "create", "bridge")
  await refused("bridge is a pre-defined network and cannot be removed", "network", "rm", "bridge")
  await refused("network nope not found", "network", "rm", "nope")
  await ok("network", "create", "taken")
  await refused("network with name taken already exists", "network", "create", "taken")
  await refused(
    "invalid subnet 10.0.0.5/24: it should be 10.0.0.0/24",
    "network",
    "create",
    "--subnet",
    "10.0.0.5/24",
    "bad",
  )
  await refused("configuration-only networks are not supported", "network", "create", "--config-only", "bad")
  await refused(
    "cannot create a swarm scoped network when swarm is not active",
    "network",
    "create",
    "--scope",
    "swarm",
    "bad",
  )
  await refused("This node is not a swarm manager", "network", "create", "-d", "overlay", "bad")
  await refused("plugin", "network", "create", "-d", "nodriver", "bad")
  await ok("run", "-d", "--name", "on-host", "--network", "host", "busybox", "sleep", "1000")
  await ok("run", "-d", "--name", "on-none", "--network", "none", "busybox", "sleep", "1000")
  await ok("run", "-d", "--name", "shared", "--network", "container:on-none", "busybox", "sleep", "1000")
  await refused("cannot be connected to any other network", "network", "connect", "taken", "on-host")
  await refused("networks in private (none) mode", "network", "connect", "taken", "on-none")
  await refused("cannot be connected to any other network", "network", "connect", "taken", "shared")
  await refused("cannot connect container to host network", "network", "connect", "host", "on-none")
  await refused("cannot disconnect container from host network", "network", "disconnect", "host", "on-host")
  await ok("network", "disconnect", "none", "on-none")
  await ok("network", "connect", "taken", "on-none")
  expect(await ok("exec", "shared", "ls", "/sys/class/net")).toBe("eth0\nlo")
  await refused("network nope not found", "run", "--network", "nope", "busybox", "true")
  await ok("rm", "-f", "on-host", "on-none", "shared")
  for (const id of (await ok("ps", "-aq")).split("\n")) if (id !== "") await ok("rm", "-f", id)
  await ok("network", "rm", "taken")
})
