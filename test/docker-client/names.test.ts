// Names on user-defined networks by the docker client: real resolvers in containers ask the engine's name server.
import { afterAll, expect } from "bun:test"
import { spawnSync } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { eventually, execute, startEngine } from "../fixtures/engine.ts"
import { proof } from "./proof.ts"

const engine = await startEngine({
  flags: ["--host-gateway-ip=192.0.2.77", "--host-gateway-ip", "2001:db8::77"],
})
afterAll(() => engine.close(), 60_000)
const { docker, ok, work } = engine

const addressOn = (container: string, network: string, family = "IPAddress") =>
  ok("inspect", "-f", `{{(index .NetworkSettings.Networks "${network}").${family}}}`, container)
/** Addresses that busybox's nslookup finds; [] when there are none. */
const lookup = async (container: string, name: string): Promise<string[]> => {
  const { stdout } = await docker("exec", container, "nslookup", name)
  const [, , ...found] = stdout.split(/^Address: */m)
  return found.map((text) => text.split("\n")[0] ?? "").toSorted()
}
/** An ended container may leave its networks right after the client was told of its end. */
const gone = (name: string) =>
  eventually(`${name} is gone`, async () => (await lookup("both", name)).length === 0)
const pidOf = async (container: string) => ok("inspect", "-f", "{{.State.Pid}}", container)
/** dig of this host in the container's network namespace. */
const dig = async (container: string, ...words: string[]): Promise<string> => {
  const place = `--net=/proc/${await pidOf(container)}/ns/net`
  return (await execute(["nsenter", place, "dig", "@127.0.0.11", ...words])).stdout.trim()
}

proof(
  ["network create", "run --network", "run --network-alias", "network connect --alias"],
  "containers find each other by name, alias, short id and hostname, on networks they share only",
  async () => {
    await ok("network", "create", "front")
    await ok("network", "create", "back")
    const id = await ok(
      "run",
      "-d",
      "--name",
      "web",
      "--hostname",
      "Webster",
      "--network",
      "front",
      "--network-alias",
      "www",
      "busybox",
      "sleep",
      "600",
    )
    await ok("run", "-d", "--name", "db", "--network", "back", "busybox", "sleep", "600")
    await ok("run", "-d", "--name", "both", "--network", "front", "busybox", "sleep", "600")
    await ok("network", "connect", "--alias", "middle", "back", "both")
    const address = await addressOn("web", "front")
    for (const name of ["web", "www", "WEB", id.slice(0, 12), "webster", "web.front"])
      expect([name, await lookup("both", name)]).toEqual([name, [address]])
    expect(await lookup("db", "web")).toEqual([])
    expect(await lookup("db", "middle")).toEqual([await addressOn("both", "back")])
    expect(await lookup("both", "db")).toEqual([await addressOn("db", "back")])
    expect(await dig("both", "+short", "-x", address)).toBe("web.front.")
    expect(await dig("both", "+short", "+tcp", "web")).toBe(address)
    expect(await dig("both", "AAAA", "web")).toContain("status: NOERROR")
    await ok("network", "disconnect", "back", "both")
    expect(await lookup("db", "both")).toEqual([])
    await ok("rename", "web", "site")
    expect(await lookup("both", "site")).toEqual([address])
    expect(await lookup("both", "web")).toEqual([])
  },
)

proof(["run --network-alias"], "an alias of several containers gives all their addresses", async () => {
  for (const name of ["api1", "api2", "api3"])
    await ok(
      "run",
      "-d",
      "--name",
      name,
      "--network",
      "front",
      "--network-alias",
      "api",
      "busybox",
      "sleep",
      "600",
    )
  const all = await Promise.all(["api1", "api2", "api3"].map((name) => addressOn(name, "front")))
  expect(await lookup("both", "api")).toEqual(all.toSorted())
  const firsts = new Set<string>()
  for (let n = 0; n < 3; n++) firsts.add((await dig("both", "+short", "api")).split("\n")[0] ?? "")
  expect(firsts.size).toBe(3)
  await ok("rm", "-f", "api2")
  expect(await lookup("both", "api")).toEqual([all[0] ?? "", all[2] ?? ""].toSorted())
})

proof(
  ["run --dns", "run --dns-search", "run --dns-option"],
  "resolv.conf names 127.0.0.11, and where its questions go on",
  async () => {
    const conf = await ok(
      "run",
      "--rm",
      "--network",
      "front",
      "--dns",
      "192.0.2.53",
      "--dns-search",
      "example.org",
      "--dns-option",
      "timeout:1",
      "busybox",
      "cat",
      "/etc/resolv.conf",
    )
    expect(conf).toContain("nameserver 127.0.0.11\nsearch example.org\noptions timeout:1 ndots:0\n")
    expect(conf).toContain("# ExtServers: [192.0.2.53]\n# Overrides: [nameservers search options]\n")
    expect(await ok("run", "--rm", "busybox", "cat", "/etc/resolv.conf")).not.toContain("127.0.0.11")
    const hosts = await ok(
      "run",
      "--rm",
      "--network",
      "front",
      "--add-host",
      "up:host-gateway",
      "--hostname",
      "me",
      "busybox",
      "cat",
      "/etc/hosts",
    )
    expect(hosts).toContain("192.0.2.77\tup\n2001:db8::77\tup\n")
    expect(hosts).toMatch(/^\d+\.\d+\.\d+\.\d+\tme$/m)
  },
)

proof(
  ["run --link"],
  "a link on a user-defined network is an alias for the linking container alone",
  async () => {
    await ok(
      "run",
      "-d",
      "--name",
      "linker",
      "--network",
      "front",
      "--link",
      "site:store",
      "busybox",
      "sleep",
      "600",
    )
    expect(await lookup("linker", "store")).toEqual([await addressOn("site", "front")])
    expect(await lookup("both", "store")).toEqual([])
  },
)

proof(["run --network"], "getaddrinfo of glibc and of musl agree", async () => {
  const program = `
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
int main(int count, char **words) {
  for (int i = 1; i < count; i++) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    char text[64];
    int code = getaddrinfo(words[i], NULL, &hints, &found);
    if (code) { printf("%s %s\\n", words[i], code == EAI_AGAIN ? "again" : "none"); continue; }
    for (; found; found = found->ai_next) {
      void *address = found->ai_family == AF_INET ? (void *)&((struct sockaddr_in *)found->ai_addr)->sin_addr
                                                  : (void *)&((struct sockaddr_in6 *)found->ai_addr)->sin6_addr;
      printf("%s %s\\n", words[i], inet_ntop(found->ai_family, address, text, sizeof text));
    }
  }
}`
  const directory = join(work, "resolvers")
  mkdirSync(join(directory, "lib"), { recursive: true })
  writeFileSync(join(directory, "ask.c"), program)
  const built = (compiler: string, ...flags: string[]) =>
    spawnSync(compiler, [...flags, "-o", join(directory, compiler), join(directory, "ask.c")], {
      encoding: "utf8",
    })
  expect(built("musl-gcc", "-static").stderr).toBe("")
  expect(built("gcc").stderr).toBe("")
  const address = await addressOn("site", "front")
  const mount = ["--mount", `type=bind,source=${directory},target=/resolvers,readonly`]
  expect(
    await ok(
      "run",
      "--rm",
      "--network",
      "front",
      ...mount,
      "busybox",
      "/resolvers/musl-gcc",
      "site",
      "WWW.front",
    ),
  ).toBe(`site ${address}\nWWW.front ${address}`)
  // The dynamic program needs this host's libc around it.
  const host = ["/lib", "/lib64", "/usr/lib"].flatMap((path) => ["-v", `${path}:${path}:ro`])
  expect(
    await ok(
      "run",
      "--rm",
      "--network",
      "front",
      ...mount,
      ...host,
      "busybox",
      "/resolvers/gcc",
      "site",
      "WWW.front",
    ),
  ).toBe(`site ${address}\nWWW.front ${address}`)
})

proof(
  ["network create --internal"],
  "nothing is asked outside from an internal network (CVE-2024-29018)",
  async () => {
    await ok("network", "create", "--internal", "inside")
    await ok("run", "-d", "--name", "insider", "--network", "inside", "busybox", "sleep", "600")
    expect(await lookup("insider", "insider")).toEqual([await addressOn("insider", "inside")])
    expect(await dig("insider", "leak.example.org")).toContain("status: SERVFAIL")
    expect(await dig("insider", "+tcp", "TXT", "leak.example.org")).toContain("status: SERVFAIL")
  },
)

proof(["run --network"], "a name server of the user's own may have port 53", async () => {
  const taken = await ok(
    "run",
    "--rm",
    "--network",
    "front",
    "busybox",
    "sh",
    "-c",
    "nc -l -p 53 & sleep 0.2; nslookup site | tail -n +3; kill $!",
  )
  expect(taken).toContain(await addressOn("site", "front"))
})

proof(
  ["run --network"],
  "names are answered within 100 ms of a killed daemon's return, and stay the same",
  async () => {
    const address = await addressOn("site", "front")
    const pid = await pidOf("both")
    const ask = () =>
      execute([
        "nsenter",
        `--net=/proc/${pid}/ns/net`,
        "dig",
        "@127.0.0.11",
        "+short",
        "+tries=1",
        "+timeout=9",
        "site",
      ])
    await ask()
    await engine.kill9()
    const waiting = ask()
    await Bun.sleep(300)
    await engine.start()
    const since = performance.now()
    expect((await waiting).stdout.trim()).toBe(address)
    expect(performance.now() - since).toBeLessThan(100)
    expect(await lookup("linker", "store")).toEqual([address])
    expect(await lookup("both", "api")).toHaveLength(2)
  },
  30_000,
)

proof(["network connect", "network disconnect"], "a user's own lines in the managed files stay", async () => {
  await ok("exec", "both", "sh", "-c", "echo 192.0.2.9 mine >> /etc/hosts; echo '# mine' >> /etc/resolv.conf")
  await ok("network", "connect", "back", "both")
  const hosts = await ok("exec", "both", "cat", "/etc/hosts")
  expect(hosts).toContain("192.0.2.9 mine")
  expect(hosts).toContain(await addressOn("both", "back"))
  await ok("network", "disconnect", "back", "both")
  expect(await ok("exec", "both", "cat", "/etc/resolv.conf")).toContain("# mine")
  expect(await ok("exec", "both", "grep", "-c", "both\\|mine", "/etc/hosts")).not.toBe("0")
})

proof(["network connect"], "a container of the default bridge gets names when it is connected", async () => {
  await ok("run", "-d", "--name", "plain", "busybox", "sleep", "600")
  expect(await ok("exec", "plain", "cat", "/etc/resolv.conf")).not.toContain("127.0.0.11")
  await ok("network", "connect", "front", "plain")
  expect(await ok("exec", "plain", "cat", "/etc/resolv.conf")).toContain("127.0.0.11")
  expect(await lookup("plain", "site")).toEqual([await addressOn("site", "front")])
  expect(await lookup("both", "plain")).toEqual([await addressOn("plain", "front")])
})

proof(["network create --ipv6", "run --ip6"], "both families, forwards and backwards", async () => {
  await ok("network", "create", "--ipv6", "--subnet", "fd5a:d0c:5::/64", "six")
  await ok(
    "run",
    "-d",
    "--name",
    "six1",
    "--network",
    "six",
    "--ip6",
    "fd5a:d0c:5::77",
    "busybox",
    "sleep",
    "600",
  )
  await ok("run", "-d", "--name", "six2", "--network", "six", "busybox", "sleep", "600")
  expect(await dig("six2", "+short", "AAAA", "six1")).toBe("fd5a:d0c:5::77")
  expect(await dig("six2", "+short", "A", "six1")).toBe(await addressOn("six1", "six"))
  expect(await dig("six2", "+short", "-x", "fd5a:d0c:5::77")).toBe("six1.six.")
  expect(await lookup("six2", "six1")).toEqual(["fd5a:d0c:5::77", await addressOn("six1", "six")].toSorted())
  expect(await ok("exec", "six1", "cat", "/etc/hosts")).toMatch(/^fd5a:d0c:5::77\t[0-9a-f]{12}$/m)
})

proof(["stop", "start", "restart", "rm"], "names come and go with their containers", async () => {
  const name = "moving"
  await ok(
    "run",
    "-d",
    "--name",
    name,
    "--network",
    "front",
    "--stop-signal",
    "KILL",
    "busybox",
    "sleep",
    "600",
  )
  expect(await lookup("both", name)).toEqual([await addressOn(name, "front")])
  await ok("stop", name)
  await gone(name)
  await ok("start", name)
  expect(await lookup("both", name)).toEqual([await addressOn(name, "front")])
  expect(await lookup(name, "both")).toEqual([await addressOn("both", "front")])
  await ok("restart", name)
  expect(await lookup(name, name)).toEqual([await addressOn(name, "front")])
  await ok("rm", "-f", name)
  await gone(name)
})

proof(["run --expose"], "SRV tells of exposed ports", async () => {
  await ok(
    "run",
    "-d",
    "--name",
    "served",
    "--network",
    "front",
    "--expose",
    "8080",
    "busybox",
    "sleep",
    "600",
  )
  expect(await dig("both", "+short", "SRV", "_8080._tcp.served")).toBe("0 0 8080 served.front.")
  expect(await dig("both", "+short", "SRV", "_8081._tcp.served")).toBe("")
})

proof(["run --network"], "a container that shares another's network has its names", async () => {
  const shared = await ok("run", "--rm", "--network", "container:linker", "busybox", "nslookup", "store")
  expect(shared).toContain(await addressOn("site", "front"))
})
