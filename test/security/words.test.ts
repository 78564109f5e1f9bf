// Words of a request that become file contents, paths or rules: names, ids, hosts, addresses. Nothing smuggles a line.
import { afterAll, expect, test } from "bun:test"
import { readdirSync } from "node:fs"
import { startEngine } from "../fixtures/engine.ts"
import { rawRequest } from "../fixtures/raw-request.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { ok } = engine
const ask = (method: string, path: string, body?: unknown) =>
  rawRequest(engine.socket, method, path, body === undefined ? {} : { body: JSON.stringify(body) })

const lines: readonly [title: string, body: Readonly<Record<string, unknown>>][] = [
  ["host name", { Hostname: "a\n6.6.6.6 bank" }],
  ["domain name", { Domainname: "a\nnameserver 6.6.6.6" }],
  ["extra host", { HostConfig: { ExtraHosts: ["a\n6.6.6.6 bank:1.2.3.4"] } }],
  ["extra host's address", { HostConfig: { ExtraHosts: ["a:1.2.3.4\n6.6.6.6 bank"] } }],
  ["extra host that is no address", { HostConfig: { ExtraHosts: ["a:evil words"] } }],
  ["name server", { HostConfig: { Dns: ["1.1.1.1\nnameserver 6.6.6.6"] } }],
  ["name server that is no address", { HostConfig: { Dns: ["evil"] } }],
  ["search domain", { HostConfig: { DnsSearch: ["a\nnameserver 6.6.6.6"] } }],
  ["resolver option", { HostConfig: { DnsOptions: ["ndots:1\nnameserver 6.6.6.6"] } }],
  ["link's alias", { HostConfig: { Links: ["peer:al\n6.6.6.6 bank"] } }],
  ["link's alias with a blank", { HostConfig: { Links: ["peer:a bank"] } }],
  ["network alias", { NetworkingConfig: { EndpointsConfig: { bridge: { Aliases: ["a\n6.6.6.6 bank"] } } } }],
  [
    "published address",
    { HostConfig: { PortBindings: { "80/tcp": [{ HostIp: "1.2.3.4\n", HostPort: "80" }] } } },
  ],
  ["published port", { HostConfig: { PortBindings: { "80/tcp": [{ HostPort: "80\n" }] } } }],
  ["mac address", { MacAddress: "02:42:ac:11:00:02\n" }],
  ["sysctl", { HostConfig: { Sysctls: { "net.core/../../kernel/core_pattern": "x" } } }],
  ["sysctl outside the container", { HostConfig: { Sysctls: { "kernel.core_pattern": "|/evil" } } }],
  ["cgroup parent", { HostConfig: { CgroupParent: "../../../evil" } }],
  ["volume driver", { HostConfig: { VolumeDriver: "../evil", Binds: ["named:/x"] } }],
  ["runtime", { HostConfig: { Runtime: "/evil" } }],
  ["log driver", { HostConfig: { LogConfig: { Type: "../evil", Config: {} } } }],
  [
    "log option",
    { HostConfig: { LogConfig: { Type: "json-file", Config: { "max-file": "1\n", evil: "/x" } } } },
  ],
  ["volume name", { HostConfig: { Binds: ["../evil:/x"] } }],
  ["volume name with a line", { HostConfig: { Binds: ["a\nb:/x"] } }],
  ["id for a mode", { HostConfig: { PidMode: "container:../../evil" } }],
  ["network mode as a path", { HostConfig: { NetworkMode: "/proc/1/ns/net" } }],
  ["ipc mode as a path", { HostConfig: { IpcMode: "/proc/1/ns/ipc" } }],
  ["uts mode", { HostConfig: { UTSMode: "/proc/1/ns/uts" } }],
  ["seccomp profile", { HostConfig: { SecurityOpt: ["seccomp=/etc/passwd"] } }],
  ["apparmor profile with a line", { HostConfig: { SecurityOpt: ["apparmor=a\nb"] } }],
  ["capability", { HostConfig: { CapAdd: ["EVIL"] } }],
  [
    "device",
    {
      HostConfig: {
        Devices: [{ PathOnHost: "/etc/passwd", PathInContainer: "/dev/x", CgroupPermissions: "rwm" }],
      },
    },
  ],
  ["device rule", { HostConfig: { DeviceCgroupRules: ["a *:* rwm\nb *:* rwm"] } }],
  ["rlimit", { HostConfig: { Ulimits: [{ Name: "evil", Soft: 1, Hard: 1 }] } }],
]

test("a line break, a path or another's namespace in any word is refused at create or start, and nothing is left", async () => {
  await ok("create", "--name", "peer", "busybox", "sh")
  const wrong: string[] = []
  for (const [title, body] of lines) {
    const given = { Image: "busybox", Cmd: ["cat", "/etc/hosts", "/etc/resolv.conf"], ...body }
    let answer = await ask("POST", "/containers/create?name=evil", given)
    const isCreated = answer.status === 201
    if (isCreated) answer = await ask("POST", "/containers/evil/start")
    const refused = answer.status >= 400 && answer.status < 500 && (answer.message ?? "").trim() !== ""
    if (!refused || /undefined|\[object|\.ts:/.test(answer.body)) {
      wrong.push(`${title} (${isCreated ? "start" : "create"}): ${answer.status} ${answer.body}`)
    }
    if (isCreated) await ok("rm", "-f", "evil")
  }
  expect(wrong).toEqual([])
  expect(await ok("ps", "-a", "--format", "{{.Names}}")).toBe("peer")
  expect(await ok("volume", "ls", "-q")).toBe("")
  await ok("rm", "peer")
})

const ids = [
  "..",
  ".",
  "../../../etc/passwd",
  "..%2f..%2f..%2fetc%2fpasswd",
  "%2e%2e%2f%2e%2e",
  "%2fetc%2fpasswd",
  "a%00b",
  "%ff%fe",
  "%",
  "%zz",
  "a%0ab",
  "a b".replace(" ", "%20"),
  "a;b",
  "*",
  "%7b%7d",
  "x".repeat(5000),
  "-rf",
  "__proto__",
  "constructor",
]
const places = [
  ["GET", "/containers/ID/json"],
  ["GET", "/containers/ID/logs?stdout=1"],
  ["GET", "/containers/ID/archive?path=/"],
  ["GET", "/containers/ID/export"],
  ["POST", "/containers/ID/start"],
  ["POST", "/containers/ID/stop"],
  ["POST", "/containers/ID/rename?name=ok"],
  ["DELETE", "/containers/ID?force=1&v=1"],
  ["GET", "/exec/ID/json"],
  ["POST", "/exec/ID/resize?h=1&w=1"],
  ["GET", "/images/ID/json"],
  ["GET", "/images/ID/get"],
  ["DELETE", "/images/ID?force=1"],
  ["POST", "/images/ID/tag?repo=a"],
  ["GET", "/volumes/ID"],
  ["DELETE", "/volumes/ID?force=1"],
  ["GET", "/networks/ID"],
] as const

test("ids, names and references obey a strict grammar on every route (CVE-2026-27734)", async () => {
  await ok("run", "-d", "--name", "bystander", "-v", "kept:/v", "busybox", "sleep", "60")
  const before = [
    await ok("ps", "-a", "--no-trunc", "-q"),
    await ok("volume", "ls", "-q"),
    await ok("images", "-q"),
  ]
  for (const [method, place] of places) {
    for (const id of ids) {
      const path = place.replace("ID", id)
      const answer = await ask(method, path)
      const forgiven = method === "DELETE" && place.startsWith("/volumes") && answer.status === 204
      expect([method, path, forgiven || (answer.status >= 300 && answer.status < 500)]).toEqual([
        method,
        path,
        true,
      ])
      expect([path, /root:|\.ts:|ENOENT|EISDIR/.test(answer.body)]).toEqual([path, false])
    }
  }
  expect([
    await ok("ps", "-a", "--no-trunc", "-q"),
    await ok("volume", "ls", "-q"),
    await ok("images", "-q"),
  ]).toEqual(before)
  await ok("rm", "-fv", "bystander")
  await ok("volume", "rm", "kept")
}, 60_000)

const names = [
  "../evil",
  "a/b",
  "a\nb",
  ".hidden",
  "-x",
  "",
  "a\0b",
  "ä",
  "a b",
  "x".repeat(300),
  "..",
  "/",
  "//a",
]

test("names of containers, volumes, images and files are a grammar, too", async () => {
  await ok("create", "--name", "renamed", "busybox", "sh")
  const listing = () => readdirSync(`${engine.root}/data/volumes`).join()
  const before = listing()
  const wrong: string[] = []
  for (const name of names) {
    const encoded = encodeURIComponent(name)
    const answers = [
      ...(name === ""
        ? []
        : [await ask("POST", `/containers/create?name=${encoded}`, { Image: "busybox", Cmd: ["sh"] })]),
      await ask("POST", `/containers/renamed/rename?name=${encoded}`),
      ...(name === "" ? [] : [await ask("POST", "/volumes/create", { Name: name })]),
      ...(name === "a/b" ? [] : [await ask("POST", `/images/busybox/tag?repo=${encoded}&tag=x`)]),
      await ask("POST", `/images/busybox/tag?repo=fine&tag=${encoded === "" ? "%20" : encoded}`),
      await ask("POST", "/volumes/create", { Name: "fine", Driver: name === "" ? "evil" : name }),
    ]
    for (const [at, answer] of answers.entries()) {
      if (answer.status < 400 || answer.status >= 500)
        wrong.push(`${JSON.stringify(name)} ${at}: ${answer.status} ${answer.body}`)
    }
  }
  expect(wrong).toEqual([])
  expect(listing()).toBe(before)
  expect(await ok("ps", "-a", "--format", "{{.Names}}")).toBe("renamed")
  expect(await ok("images", "--format", "{{.Repository}}:{{.Tag}}")).toBe("busybox:latest")
  await ok("rm", "renamed")
})

test("options of a local volume cannot mount what a user may not ask for by them", async () => {
  for (const options of [
    { type: "none", o: "bind" },
    { type: "evil", device: "x" },
    { evil: "1" },
    { o: "a\nb", type: "tmpfs", device: "tmpfs" },
    { type: "overlay", device: "overlay", o: "lowerdir=/\0" },
  ]) {
    const created = await ask("POST", "/volumes/create", { Name: "optioned", DriverOpts: options })
    if (created.status === 201) {
      const run = await engine.docker("run", "--rm", "-v", "optioned:/v", "busybox", "true")
      expect([options, run.code === 0]).toEqual([options, false])
      await ok("volume", "rm", "-f", "optioned")
    } else expect([options, created.status >= 400 && created.status < 500]).toEqual([options, true])
  }
  expect(await ok("volume", "ls", "-q")).toBe("")
})
