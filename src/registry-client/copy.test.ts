// Copying between real registries: whole indexes, one platform, signatures, and nothing twice.
import { afterEach, beforeEach, expect, test } from "bun:test"
import { generateKeyPairSync } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  pushSigned,
  pushTestIndex,
  startRegistries,
  type TestRegistries,
} from "../../test/fixtures/registries.ts"
import { parsePolicy, readPolicy } from "../images/trust/policy.ts"
import { findProof, requireTrust } from "../images/trust/signatures.ts"
import { parsePlatform } from "../oci/platform.ts"
import { parseReference } from "../oci/reference.ts"
import { type CopyStep, copyImage } from "./copy.ts"

let registries: TestRegistries
beforeEach(async () => {
  registries = await startRegistries(2)
})
afterEach(() => registries.close())

const copy = async (options: Partial<Parameters<typeof copyImage>[0]> = {}) => {
  const steps: CopyStep[] = []
  const digest = await copyImage({
    from: registries.repository(0, "team/app"),
    to: registries.repository(1, "mirror/app"),
    source: "v1",
    target: "v1",
    referrers: true,
    report: (step) => steps.push(step),
    ...options,
  })
  return { digest, steps: steps.map(({ what }) => what) }
}

test("an index travels with all its manifests; the second time nothing but manifests does", async () => {
  const index = await pushTestIndex(registries.repository(0, "team/app"), "v1", [
    "linux/amd64",
    "linux/arm64",
  ])
  const first = await copy()
  expect(first.digest).toBe(index.digest)
  expect(first.steps.filter((what) => what === "copied")).toHaveLength(5)
  const there = await registries.repository(1, "mirror/app").document("v1")
  expect(Buffer.from(there.bytes).equals(Buffer.from(index.bytes))).toBe(true)
  const second = await copy()
  expect(second.steps).not.toContain("copied")
})

test("one platform travels alone", async () => {
  const index = await pushTestIndex(registries.repository(0, "team/app"), "v1", [
    "linux/amd64",
    "linux/arm64",
  ])
  const { digest } = await copy({ platform: parsePlatform("linux/arm64") })
  expect(digest).toBe(index.manifests[1] ?? "")
  expect((await registries.repository(1, "mirror/app").document("v1")).digest).toBe(digest)
})

test("within one registry blobs are mounted", async () => {
  await pushTestIndex(registries.repository(0, "team/app"), "v1", ["linux/amd64"])
  const { steps } = await copy({ to: registries.repository(0, "other/app"), mountFrom: "team/app" })
  expect(steps).toContain("mounted")
  expect(steps).not.toContain("copied")
})

for (const algorithm of ["ec", "rsa", "ed25519"] as const) {
  test(`signatures travel, and prove the copy: ${algorithm}`, async () => {
    const directory = mkdtempSync(join(tmpdir(), "sloop-trust-"))
    try {
      const pair = () =>
        algorithm === "ec"
          ? generateKeyPairSync("ec", { namedCurve: "P-256" })
          : algorithm === "rsa"
            ? generateKeyPairSync("rsa", { modulusLength: 2048 })
            : generateKeyPairSync("ed25519")
      const [mine, other] = [pair(), pair()]
      const from = registries.repository(0, "team/app")
      const { digest } = await pushTestIndex(from, "v1", ["linux/amd64"])
      await pushSigned(from, digest, mine.privateKey, algorithm === "ed25519" ? "tag" : "referrer")
      await copy()
      const to = registries.repository(1, "mirror/app")
      expect(await findProof(to, digest, [other.publicKey])).toEqual({ found: 1 })
      expect((await findProof(to, digest, [other.publicKey, mine.publicKey])).proven?.reference).toBe(
        "team/app",
      )

      writeFileSync(join(directory, "mine.pub"), mine.publicKey.export({ type: "spki", format: "pem" }))
      writeFileSync(join(directory, "other.pub"), other.publicKey.export({ type: "spki", format: "pem" }))
      const domain = registries.domain(1)
      const policyText = (key: string) =>
        JSON.stringify({ default: "reject", repositories: { [`${domain}/mirror/*`]: { signedBy: [key] } } })
      writeFileSync(join(directory, "policy.json"), policyText("mine.pub"))
      const reference = parseReference(`${domain}/mirror/app:v1`)
      const good = readPolicy(join(directory, "policy.json"))
      await requireTrust(good, to, reference, [digest])
      const strict = parsePolicy(Buffer.from(policyText("other.pub")), directory)
      await expect(requireTrust(strict, to, reference, [digest])).rejects.toThrow(
        `asks for a signature of ${domain}/mirror/app@${digest}, but none of its 1 signatures is by ${directory}/other.pub`,
      )
      await expect(requireTrust(good, to, parseReference("other"), [digest])).rejects.toThrow(
        "does not accept",
      )
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
}

test("a signature of another image, or moved to this one, proves nothing", async () => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const from = registries.repository(0, "team/app")
  const signed = await pushTestIndex(from, "v1", ["linux/amd64"])
  const evil = await pushTestIndex(from, "v2", ["linux/arm64"])
  await pushSigned(from, evil.digest, privateKey, "referrer", signed.digest)
  expect(await findProof(from, evil.digest, [publicKey])).toEqual({ found: 1 })
})

test("a policy that cannot be meant is refused", () => {
  for (const [text, message] of [
    ['{"default":"sometimes"}', 'the default of the image policy must be "accept"'],
    ['{"repositories":{"a*b/*":"accept"}}', 'the pattern "a*b/*"'],
    ['{"reject":[]}', 'holds "reject"'],
    ['{"repositories":{"x/y":{"signedBy":["/none"]}}}', "the key /none of the image policy cannot be read"],
    ["[]", "is not a JSON object"],
  ] as const)
    expect(() => parsePolicy(Buffer.from(text), "/")).toThrow(message)
})
