// Verbs that talk to registries and to no daemon: image copy, image verify, manifest.
import { afterEach, beforeEach, expect, test } from "bun:test"
import { generateKeyPairSync } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { execute, program } from "../fixtures/engine.ts"
import { pushSigned, pushTestIndex, startRegistries, type TestRegistries } from "../fixtures/registries.ts"

let directory: string
let registries: TestRegistries
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "sloop-cli-"))
  registries = await startRegistries(2)
})
afterEach(async () => {
  await registries.close()
  rmSync(directory, { recursive: true, force: true })
})

const sloop = async (...words: readonly string[]) => {
  const { code, stdout, stderr } = await execute([...program(), ...words], {
    env: { DOCKER_CONFIG: directory, HOME: directory },
  })
  return { code, lines: stdout.trimEnd().split("\n"), stderr: stderr.trim() }
}
const app = (index: number, tag = "v1") => `${registries.domain(index)}/team/app:${tag}`
const pushed = (platforms: readonly string[], tag = "v1") =>
  pushTestIndex(registries.repository(0, "team/app"), tag, platforms)

test("image copy", async () => {
  const { digest } = await pushed(["linux/amd64", "linux/arm64"])
  const first = await sloop("image", "copy", app(0), app(1))
  expect([first.code, first.stderr, first.lines.at(-1)]).toEqual([0, "", `${app(1)}: digest: ${digest}`])
  expect(first.lines.filter((line) => line.includes(": copied ("))).toHaveLength(5)
  expect((await sloop("image", "copy", "-q", app(0), app(1))).lines).toEqual([digest])
  const missing = await sloop("image", "copy", app(0, "none"), app(1))
  expect(missing.code).toBe(1)
  expect(missing.stderr).toContain(`${registries.domain(0)}/team/app`)
})

test("image verify", async () => {
  const { digest } = await pushed(["linux/amd64"])
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const key = join(directory, "key.pub")
  writeFileSync(key, publicKey.export({ type: "spki", format: "pem" }))
  const unsigned = await sloop("image", "verify", "--key", key, app(0))
  expect([unsigned.code, unsigned.stderr]).toEqual([
    1,
    expect.stringContaining(`${app(0)} (${digest}) has no signature`),
  ])
  await pushSigned(registries.repository(0, "team/app"), digest, privateKey, "referrer")
  expect((await sloop("image", "verify", "--key", key, app(0))).lines).toEqual([
    `${app(0)}: ${digest} is signed`,
    "Signed as: team/app",
  ])
  writeFileSync(join(directory, "bad"), "no key")
  expect((await sloop("image", "verify", "--key", join(directory, "bad"), app(0))).stderr).toContain(
    "is not a PEM public key",
  )
})

test("manifest create, annotate, inspect, push, rm", async () => {
  const { manifests } = await pushed(["linux/amd64", "linux/arm64"])
  const repository = `${registries.domain(0)}/team/app`
  const [amd, arm] = manifests.map((digest) => `${repository}@${digest}`)
  const list = `${registries.domain(0)}/team/all:v2`
  expect((await sloop("manifest", "create", list, amd ?? "", arm ?? "")).lines).toEqual([
    `Created manifest list ${list}`,
  ])
  const again = await sloop("manifest", "create", list, amd ?? "")
  expect([again.code, again.stderr]).toEqual([1, expect.stringContaining("no --amend flag")])
  expect((await sloop("manifest", "annotate", "--variant", "v8", list, arm ?? "")).code).toBe(0)
  const inspected = JSON.parse((await sloop("manifest", "inspect", list)).lines.join("\n"))
  expect(inspected.manifests.map((entry: { platform: object }) => entry.platform)).toEqual([
    { architecture: "amd64", os: "linux" },
    { architecture: "arm64", os: "linux", variant: "v8" },
  ])
  const [digest = ""] = (await sloop("manifest", "push", "--purge", list)).lines
  const there = await registries.repository(0, "team/all").document("v2")
  expect(there.digest).toBe(digest)
  expect(JSON.parse(Buffer.from(there.bytes).toString())).toEqual(inspected)
  expect((await sloop("manifest", "inspect", "-v", list)).lines.join("\n")).toContain('"OCIManifest"')
  expect((await sloop("manifest", "rm", list)).stderr).toContain(`No such manifest: ${list}`)
})
