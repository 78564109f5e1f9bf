// `sloop port add` and `remove`, and update's flags: published ports of a container, changed while it runs.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { eventually, startEngine } from "../fixtures/engine.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const { ok, sloop } = engine
const base = 20_000 + (process.pid % 5000) * 2

beforeAll(async () => {
  await ok("run", "-d", "--name", "web", "--hostname", "web", "busybox", "httpd", "-f", "-h", "/etc")
}, 30_000)

const page = async (port: number): Promise<string> => {
  try {
    return (await fetch(`http://127.0.0.1:${port}/hostname`, { signal: AbortSignal.timeout(1000) })).text()
  } catch {
    return ""
  }
}
const serves = (port: number) => eventually(`port ${port} serves`, async () => (await page(port)) === "web\n")
const isClosed = (port: number) => eventually(`port ${port} is closed`, async () => (await page(port)) === "")

test("a port is published and taken back while the container runs", async () => {
  const added = await sloop("port", "add", "web", `127.0.0.1:${base}:80`)
  expect(added).toEqual({ code: 0, stderr: "", stdout: `80/tcp -> 127.0.0.1:${base}\n` })
  await serves(base)
  expect(await ok("port", "web")).toBe(`80/tcp -> 127.0.0.1:${base}`)
  expect(await ok("inspect", "-f", "{{.HostConfig.PortBindings}}", "web")).toBe(
    `map[80/tcp:[{127.0.0.1 ${base}}]]`,
  )
  await sloop("port", "add", "web", `127.0.0.1:${base + 1}:80`)
  await serves(base + 1)
  const removed = await sloop("port", "remove", "web", `${base}:80`)
  expect(removed.stdout).toBe(`80/tcp -> 127.0.0.1:${base + 1}\n`)
  await isClosed(base)
  await serves(base + 1)
  await ok("restart", "-t", "0", "web")
  await serves(base + 1)
  expect((await sloop("port", "rm", "web", "80")).code).toBe(0)
  await isClosed(base + 1)
  expect(await ok("port", "web")).toBe("")
}, 30_000)

test("what cannot be published changes nothing", async () => {
  await ok("run", "-d", "--name", "holder", "-p", `127.0.0.1:${base}:80`, "busybox", "sleep", "1000")
  const taken = await sloop("port", "add", "web", "127.0.0.1::81", `127.0.0.1:${base}:80`)
  expect(taken.code).toBe(1)
  expect(taken.stderr).toContain(`Bind for 127.0.0.1:${base} failed: port is already allocated`)
  expect(await ok("port", "web")).toBe("")
  const absent = await sloop("port", "remove", "web", "90:80")
  expect(absent.stderr).toBe("Error response from daemon: port 90:80/tcp of container web is not published\n")
  await ok("rm", "-f", "holder")
})

test("update publishes too, and a stopped container remembers", async () => {
  expect((await sloop("update", "--publish-add", `127.0.0.1:${base}:80`, "web")).stdout).toBe("web\n")
  await serves(base)
  await ok("stop", "-t", "0", "web")
  expect(
    (await sloop("update", "--publish-rm", `${base}:80`, "--publish-add", `127.0.0.1:${base + 1}:80`, "web"))
      .code,
  ).toBe(0)
  await ok("start", "web")
  await serves(base + 1)
  expect(await ok("port", "web")).toBe(`80/tcp -> 127.0.0.1:${base + 1}`)
  await ok("run", "-d", "--name", "hosted", "--network", "host", "busybox", "sleep", "1000")
  expect((await sloop("port", "add", "hosted", "8080:80")).stderr).toContain("has no network of its own")
}, 30_000)
