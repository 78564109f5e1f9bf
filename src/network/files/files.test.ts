// The texts of /etc/hosts and /etc/resolv.conf as Docker writes them.
import { expect, test } from "bun:test"
import fc from "fast-check"
import { hostsText, updatedHosts } from "./hosts.ts"
import { nameServerConf, updatedResolvConf } from "./name-server-conf.ts"
import { parseResolvConf, resolvConfText, withResolved } from "./resolv-conf.ts"

const local = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`
const request = {
  hostname: "web",
  domainname: "",
  addresses: ["172.17.0.2"],
  extraHosts: [],
  hostGateway: "172.17.0.1",
  links: [],
}

test("hosts: own name, domain, extra hosts and links", () => {
  expect(hostsText(request)).toBe(`${local}172.17.0.2\tweb\n`)
  expect(
    hostsText({
      ...request,
      domainname: "example.org",
      extraHosts: ["db:10.0.0.1", "up=host-gateway", "six:[fd00::1]", "six2:fd00::2"],
      links: [
        { name: "redis", hostname: "0123456789ab", alias: "cache", ipv4: "172.17.0.3" },
        { name: "same", hostname: "own", alias: "same", ipv4: "172.17.0.4" },
      ],
    }),
  ).toBe(
    `${local}10.0.0.1\tdb
172.17.0.1\tup
fd00::1\tsix
fd00::2\tsix2
172.17.0.3\tcache 0123456789ab redis
172.17.0.4\tsame own
172.17.0.2\tweb.example.org web
`,
  )
})

test("hosts: malformed extra hosts are refused", () => {
  expect(() => hostsText({ ...request, extraHosts: ["db"] })).toThrow('bad format for add-host: "db"')
  expect(() => hostsText({ ...request, extraHosts: ["db:nowhere"] })).toThrow(
    'invalid IP address in add-host: "nowhere"',
  )
  expect(() => hostsText({ ...request, extraHosts: ["a:1.2.3.4\n6.6.6.6\tb"] })).toThrow("bad format")
  expect(() => hostsText({ ...request, extraHosts: ["a\nb:1.2.3.4"] })).toThrow("bad format for add-host")
})

const none = { servers: [], search: [], options: [] }

test("resolv.conf: the host's, without servers that a container cannot reach", () => {
  const host = parseResolvConf(
    "# remark\ndomain old.example\nsearch a.example b.example\nnameserver 127.0.0.53\nnameserver 10.0.0.2 ; remark\nnameserver fe80::1%eth0\noptions ndots:2 edns0\n",
  )
  expect(resolvConfText(host, none)).toBe(
    "search a.example b.example\nnameserver 10.0.0.2\noptions ndots:2 edns0\n",
  )
})

test("resolv.conf: Docker's public servers where the host has none", () => {
  expect(resolvConfText(parseResolvConf("nameserver 127.0.0.1\n"), none)).toBe(
    "nameserver 8.8.8.8\nnameserver 8.8.4.4\n",
  )
})

test("resolv.conf: what was asked for replaces the host's, list by list", () => {
  const host = { servers: ["10.0.0.2"], search: ["a.example"], options: ["edns0"] }
  expect(resolvConfText(host, { servers: ["127.0.0.1", "1.1.1.1"], search: ["."], options: [] })).toBe(
    "nameserver 127.0.0.1\nnameserver 1.1.1.1\noptions edns0\n",
  )
  expect(resolvConfText(host, { ...none, search: ["x"], options: ["ndots:1"] })).toBe(
    "search x\nnameserver 10.0.0.2\noptions ndots:1\n",
  )
  expect(() => resolvConfText(host, { ...none, servers: ["dns.example"] })).toThrow(
    "dns.example is not an IP address",
  )
  for (const word of ["a\nnameserver 6.6.6.6", "", "a b"])
    expect(() => resolvConfText(host, { ...none, search: [word] })).toThrow(
      "is not a DNS search domain or option",
    )
})

test("hosts: host-gateway has a line for each family, and fails where there is none", () => {
  const both = { ...request, extraHosts: ["up:host-gateway"], hostGateway6: "fd00::1" }
  expect(hostsText(both)).toBe(`${local}172.17.0.1\tup\nfd00::1\tup\n172.17.0.2\tweb\n`)
  expect(() => hostsText({ ...both, hostGateway: "", hostGateway6: "" })).toThrow(
    "unable to derive the IP value for host-gateway",
  )
})

test("living hosts: our lines change, the user's stay", () => {
  const before = `${local}10.0.0.2\tweb\n`
  const after = `${local}10.0.0.2\tweb\n10.1.0.2\tweb\n`
  expect(updatedHosts(before, before, after)).toBe(after)
  expect(updatedHosts(`# mine\n${before}192.0.2.1\tother`, before, after)).toBe(
    `# mine\n${before}192.0.2.1\tother\n10.1.0.2\tweb\n`,
  )
  expect(updatedHosts(`${after}192.0.2.1\tother\n`, after, before)).toBe(`${before}192.0.2.1\tother\n`)
  // A line that the user took out is not put back.
  expect(updatedHosts("127.0.0.1\tlocalhost\n", before, after)).toBe("127.0.0.1\tlocalhost\n10.1.0.2\tweb\n")
  expect(updatedHosts("", before, before)).toBe("")
})

test("living hosts: no change of ours touches lines that we did not write", () => {
  const lines = fc.array(fc.constantFrom("a", "b", "c", "d", "e"), { maxLength: 6 })
  const text = (all: readonly string[]) => all.map((line) => `${line}\n`).join("")
  fc.assert(
    fc.property(lines, lines, lines, (before, after, own) => {
      const mine = own.map((line) => `user ${line}`)
      expect(
        updatedHosts(text([...mine, ...before]), text(before), text(after))
          .split("\n")
          .filter((line) => line.startsWith("user")),
      ).toEqual(mine)
      const result = updatedHosts(text(before), text(before), text(after))
      expect(result.split("\n").toSorted()).toEqual(text(after).split("\n").toSorted())
    }),
  )
})

const host = {
  servers: ["127.0.0.1", "10.0.0.2", "fd00::53"],
  search: ["a.example"],
  options: ["edns0"],
  source: "/etc/resolv.conf",
}
const head = `# Generated by Sloop.
# This file can be edited; Sloop will not make further changes once it
# has been modified.

nameserver 127.0.0.11
`

test("name server's resolv.conf: the host's servers are told in a remark, ndots:0 is added", () => {
  expect(nameServerConf(host, none, false)).toEqual({
    text: `${head}search a.example
options edns0 ndots:0

# Based on host file: '/etc/resolv.conf' (internal resolver)
# ExtServers: [host(127.0.0.1) 10.0.0.2 host(fd00::53)]
# Overrides: []
# Option ndots from: internal
`,
    upstream: { servers: [], ndotsSet: false },
  })
})

test("name server's resolv.conf: what was asked for, list by list", () => {
  const asked = { servers: ["192.0.2.1", "fd00::1"], search: ["."], options: ["ndots:2", "timeout:1"] }
  expect(nameServerConf(host, asked, true)).toEqual({
    text: `${head}options ndots:2 timeout:1

# Based on host file: '/etc/resolv.conf' (internal resolver)
# ExtServers: [192.0.2.1 fd00::1]
# Overrides: [nameservers search options]
# Option ndots from: override
`,
    upstream: { servers: ["192.0.2.1", "fd00::1"], ndotsSet: true },
  })
  expect(() => nameServerConf(host, { ...none, servers: ["x"] }, false)).toThrow("x is not an IP address")
})

test("name server's resolv.conf: a host without servers, and one with a broken ndots", () => {
  const bare = nameServerConf({ servers: [], search: [], options: ["ndots:x"] }, none, true)
  expect(bare.text).toContain("options ndots:0\n")
  expect(bare.text).toContain(
    "# Used default nameservers.\n# ExtServers: [8.8.8.8 8.8.4.4 2001:4860:4860::8888 2001:4860:4860::8844]\n",
  )
  expect(bare.upstream).toEqual({ servers: [], ndotsSet: false })
})

test("a living resolv.conf is written again only while it is as we wrote it", () => {
  expect(updatedResolvConf("a", "a", "b")).toBe("b")
  expect(updatedResolvConf("mine", "a", "b")).toBeUndefined()
  expect(updatedResolvConf("a", "a", "a")).toBeUndefined()
})

test("the host's servers: systemd-resolved's list for its own address, another local resolver as it is", () => {
  const local = { servers: ["127.0.0.53"], search: ["a"], options: [] }
  const listed = { servers: ["10.0.0.1"], search: ["b"], options: ["edns0"] }
  expect(withResolved(local, () => listed)).toEqual({
    servers: ["10.0.0.1"],
    search: ["a"],
    options: ["edns0"],
  })
  expect(withResolved(local, () => none)).toBe(local)
  expect(withResolved(listed, () => local)).toBe(listed)
})
