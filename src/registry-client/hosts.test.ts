// How registries are reached: protocols, certificates in docker's layout, options that are wrong.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type Server } from "node:https"
import { join } from "node:path"
import type { TLSSocket } from "node:tls"
import { makeCertificates } from "../../test/fixtures/docker-registry.ts"
import { startLyingRegistry } from "../../test/fixtures/lying-registry.ts"
import { isLoopback, openHosts } from "./hosts.ts"
import { openRegistries, type RegistryOptions } from "./registry-client.ts"

const directory = mkdtempSync("/tmp/slh-")
makeCertificates(directory)
const file = (name: string) => readFileSync(join(directory, name), "utf8")
const options = (given: Partial<RegistryOptions> = {}): RegistryOptions => ({
  mirrors: [],
  insecure: [],
  certificates: [],
  agent: "test",
  timing: { firstPause: 1, attempts: 2, answer: 1000, stall: 1000 },
  ...given,
})

/** A registry over TLS that answers every manifest with an index, and tells who its client is. */
let server: Server
let host = ""
const clients: string[] = []
beforeAll(async () => {
  server = createServer(
    {
      key: file("server.key"),
      cert: file("server.crt"),
      ca: file("ca.crt"),
      requestCert: true,
      rejectUnauthorized: false,
    },
    (request, response) => {
      const socket = request.socket as TLSSocket
      clients.push(socket.authorized ? "known" : "unknown")
      response.writeHead(200, { "Content-Type": "application/vnd.oci.image.index.v1+json" })
      response.end('{"schemaVersion":2,"manifests":[]}')
    },
  )
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  host = `127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
  rmSync(directory, { recursive: true, force: true })
})

/** A certs.d with these files for the host. */
const certsFor = (files: Record<string, string>): string => {
  const root = mkdtempSync(join(directory, "certs-"))
  mkdirSync(join(root, host), { recursive: true })
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, host, name), text)
  return root
}
const fetchFrom = (given: Partial<RegistryOptions>) =>
  openRegistries(options(given)).repository({ domain: host, path: "app" }, { actions: "pull" }).document("1")

test("loopback takes any certificate; an authority that was given counts even there", async () => {
  await fetchFrom({})
  await fetchFrom({ certificates: [certsFor({ "ca.crt": file("ca.crt") })] })
  const other = mkdtempSync(join(directory, "other-"))
  makeCertificates(other)
  const wrong = certsFor({ "ca.crt": readFileSync(join(other, "ca.crt"), "utf8") })
  await expect(fetchFrom({ certificates: [wrong] })).rejects.toThrow(/signed by an unknown authority/)
  await fetchFrom({ certificates: [wrong], insecure: [host] })
})

test("a client certificate is shown where the layout has one", async () => {
  clients.length = 0
  await fetchFrom({ certificates: [certsFor({ "ca.crt": file("ca.crt") })] })
  expect(new Set(clients)).toEqual(new Set(["unknown"]))
  clients.length = 0
  const files = {
    "ca.crt": file("ca.crt"),
    "client.cert": file("server.crt"),
    "client.key": file("server.key"),
  }
  await fetchFrom({ certificates: [certsFor(files)] })
  expect(new Set(clients)).toEqual(new Set(["known"]))
  const half = certsFor({ "client.cert": file("server.crt") })
  await expect(fetchFrom({ certificates: [half] })).rejects.toThrow(
    "missing key client.key for client certificate client.cert",
  )
})

test("plain HTTP on loopback, by address and by name", async () => {
  const registry = await startLyingRegistry()
  try {
    registry.manifests.set("app 1", {
      bytes: Buffer.from('{"schemaVersion":2,"manifests":[]}'),
      mediaType: "application/vnd.oci.image.index.v1+json",
    })
    const port = registry.host.split(":")[1]
    for (const domain of [registry.host, `localhost:${port}`]) {
      const remote = openRegistries(options()).repository({ domain, path: "app" }, { actions: "pull" })
      expect((await remote.document("1")).mediaType).toContain("index")
    }
  } finally {
    await registry.close()
  }
})

test("plain HTTP elsewhere only where the configuration says so", async () => {
  expect(["localhost", "LOCALHOST:1", "127.0.0.1", "127.9.9.9:5", "[::1]:5000"].every(isLoopback)).toBe(true)
  expect(
    ["10.0.0.1", "registry.example", "localhost.example", "128.0.0.1", "127.example:1"].some(isLoopback),
  ).toBe(false)
  const hosts = openHosts(
    options({ insecure: ["10.1.0.0/16", "registry.example:5000", "plain.example", "fd00::/8"] }),
  )
  for (const [host, insecure] of [
    ["10.1.2.3:5000", true],
    ["10.2.2.3:5000", false],
    ["[fd00::1]:5000", true],
    ["registry.example:5000", true],
    ["registry.example:5001", false],
    ["plain.example", true],
    ["plain.example:77", true],
    ["127.0.0.1:1", true],
  ] as const)
    expect([host, await hosts.isInsecure(host)]).toEqual([host, insecure])
  expect((await hosts.trustOf("registry.example")).verify).toBe(true)
  expect(hosts.endpoints("registry.example", { mirrors: true }).map((endpoint) => endpoint.host)).toEqual([
    "registry.example",
  ])
})

test.each([
  [{ mirrors: ["nonsense"] }, "is not a URL"],
  [{ mirrors: ["ftp://mirror.example"] }, "unsupported scheme"],
  [{ mirrors: ["https://mirror.example/path"] }, "path, query, or fragment"],
  [{ mirrors: ["https://a:b@mirror.example"] }, "username and password"],
  [{ insecure: ["http://registry.example"] }, "write HOST, HOST:PORT or a subnet"],
  [{ insecure: ["10.0.0.0/33"] }, "is not valid"],
])("%p is refused", (given, message) => {
  expect(() => openRegistries(options(given))).toThrow(message)
})
