// Registries that hang, and a daemon that dies while it pulls: clients get their prompt back, and nothing is half there.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { randomBytes } from "node:crypto"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { eventually, startEngine, type TestEngine } from "../fixtures/engine.ts"
import { type LyingRegistry, startLyingRegistry } from "../fixtures/lying-registry.ts"
import { layerTar, makeImage } from "../fixtures/remote-image.ts"

let engine: TestEngine
let registry: LyingRegistry
const image = makeImage({
  layers: await Promise.all(["one", "two"].map((name) => layerTar(name, randomBytes(2 << 20)))),
})
beforeAll(async () => {
  registry = await startLyingRegistry()
  registry.hold("app", "1", image)
  engine = await startEngine()
}, 60_000)
afterAll(async () => {
  await engine.close()
  await registry.close()
}, 60_000)

const name = () => `${registry.host}/app:1`
/** Sends half of every layer and then nothing, for ever. */
const hang: NonNullable<LyingRegistry["lie"]> = (request, response, { status, headers, body }) => {
  if (request.url?.includes("/blobs/") !== true || request.url.includes(image.configDigest)) return false
  response.writeHead(status, { ...headers, "Content-Length": String(body.length) })
  response.write(body.subarray(0, body.length / 2))
  return true
}
const unfinished = (): string[] => {
  const path = join(engine.root, "data", "content", "ingest")
  return existsSync(path) ? readdirSync(path) : []
}

test("a pull from a registry that hangs is given up at once, and leaves nothing", async () => {
  registry.lie = hang
  const client = engine.spawnDocker("pull", name())
  await eventually("half of it is here", () => unfinished().length === 2)
  client.kill("SIGINT")
  await new Promise((resolve) => client.once("exit", resolve))
  await eventually("nothing is left", () => unfinished().length === 0)
  expect(await engine.ok("images", "-q", name())).toBe("")
  // Others are served meanwhile and afterwards.
  expect(await engine.ok("run", "--rm", "busybox", "echo", "ran")).toBe("ran")
}, 30_000)

test("a daemon that is killed while it pulls leaves nothing that its successor does not remove", async () => {
  registry.lie = hang
  const client = engine.spawnDocker("pull", name())
  const told: Buffer[] = []
  client.stderr?.on("data", (chunk: Buffer) => told.push(chunk))
  await eventually("half of it is here", () => unfinished().length === 2)
  // Its end may come before that of the daemon is told.
  const ended = new Promise((resolve) => client.once("exit", resolve))
  await engine.kill9()
  await ended
  expect(Buffer.concat(told).toString()).not.toBe("")
  await engine.start()
  expect(unfinished()).toEqual([])
  expect(await engine.ok("images", "--format", "{{.Repository}}")).toBe("busybox")
  registry.lie = undefined
  expect(await engine.ok("pull", name())).toContain("Downloaded newer image")
  expect(await engine.ok("image", "inspect", "-f", "{{len .RootFS.Layers}}", name())).toBe("2")
  await engine.ok("rmi", name())
}, 30_000)

test("eight clients pull the same image at once: one download, eight answers", async () => {
  registry.lie = undefined
  registry.requests.length = 0
  const pulls = await Promise.all(Array.from({ length: 8 }, () => engine.docker("pull", "-q", name())))
  expect(pulls.map(({ code, stderr }) => `${code} ${stderr}`)).toEqual(Array(8).fill("0 "))
  for (const layer of image.layers)
    expect(registry.asked(new RegExp(`GET .*${layer}`)).length).toBeLessThanOrEqual(2)
  await engine.ok("rmi", name())
}, 60_000)
