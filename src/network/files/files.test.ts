// The texts of /etc/hosts and /etc/resolv.conf as Docker writes them.
import { expect, test } from "bun:test"
import { hostsText } from "./hosts.ts"
import { parseResolvConf, resolvConfText } from "./resolv-conf.ts"

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
        { name: "redis", alias: "cache", ipv4: "172.17.0.3" },
        { name: "same", alias: "same", ipv4: "172.17.0.4" },
      ],
    }),
  ).toBe(
    `${local}10.0.0.1\tdb
172.17.0.1\tup
fd00::1\tsix
fd00::2\tsix2
172.17.0.3\tcache redis
172.17.0.4\tsame
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
