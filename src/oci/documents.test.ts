// Manifests, indexes, configs, platforms and chainIDs.
import { expect, test } from "bun:test"
import { chainIdOf, chainIds } from "./chain-id.ts"
import { encodeConfigDocument, parseConfigDocument } from "./config.ts"
import { isAttestation, manifestsFor, parseIndex } from "./index.ts"
import { parseManifest } from "./manifest.ts"
import { mediaTypes } from "./media-types.ts"
import { formatPlatform, parsePlatform, platformScore } from "./platform.ts"

const json = (value: unknown) => Buffer.from(JSON.stringify(value))
const digest = `sha256:${"1".repeat(64)}`
const descriptor = (mediaType: string, more = {}) => ({ mediaType, digest, size: 10, ...more })

test("chainIDs as the OCI specification computes them", () => {
  const a = `sha256:${"a".repeat(64)}`
  const b = `sha256:${"b".repeat(64)}`
  expect(chainIdOf([])).toBe("")
  expect(chainIdOf([a])).toBe(a)
  const hash = new Bun.CryptoHasher("sha256").update(`${a} ${b}`).digest("hex")
  expect(chainIds([a, b])).toEqual([a, `sha256:${hash}`])
})

const manifest = {
  schemaVersion: 2,
  mediaType: mediaTypes.ociManifest,
  config: descriptor(mediaTypes.ociConfig),
  layers: [descriptor(mediaTypes.ociLayerGzip)],
}

test("manifests: read, and ambiguous or foreign ones refused", () => {
  expect(parseManifest(json(manifest), "m").layers).toHaveLength(1)
  const refused: [object, string][] = [
    [{ ...manifest, manifests: [] }, "ambiguous"],
    [{ ...manifest, mediaType: mediaTypes.ociIndex }, "not an manifest"],
    [{ ...manifest, schemaVersion: 1 }, "schema version 1"],
    [{ ...manifest, config: descriptor("application/vnd.example") }, "no image"],
    [{ ...manifest, layers: [descriptor("text/plain")] }, "unsupported type"],
    [{ ...manifest, layers: {} }, "no list of layers"],
    [{ ...manifest, config: { ...manifest.config, digest: "md5:1" } }, "no valid sha256 digest"],
    [{ ...manifest, config: { ...manifest.config, size: -1 } }, "no valid size"],
  ]
  for (const [document, message] of refused) expect(() => parseManifest(json(document), "m")).toThrow(message)
})

test("an index gives what suits a platform, best first, and no attestations", () => {
  const entry = (os: string, architecture: string, variant?: string) =>
    descriptor(mediaTypes.ociManifest, { platform: { os, architecture, variant } })
  const index = parseIndex(
    json({
      schemaVersion: 2,
      manifests: [
        entry("linux", "arm", "v6"),
        entry("linux", "arm", "v7"),
        entry("linux", "amd64"),
        entry("unknown", "unknown"),
        { ...entry("linux", "amd64"), annotations: { "vnd.docker.reference.type": "attestation-manifest" } },
        entry("windows", "amd64"),
      ],
    }),
    "i",
  )
  expect(manifestsFor(index, parsePlatform("linux/amd64"))).toHaveLength(1)
  expect(manifestsFor(index, parsePlatform("linux/arm/v7")).map((found) => found.platform?.variant)).toEqual([
    "v7",
    "v6",
  ])
  expect(manifestsFor(index, parsePlatform("linux/arm/v6")).map((found) => found.platform?.variant)).toEqual([
    "v6",
  ])
  expect(manifestsFor(index, parsePlatform("linux/s390x"))).toEqual([])
  expect(index.manifests.filter(isAttestation)).toHaveLength(2)
  expect(() => parseIndex(json({ manifests: [], layers: [] }), "i")).toThrow("ambiguous")
})

test("platforms are normalised", () => {
  expect(formatPlatform(parsePlatform("linux/x86_64"))).toBe("linux/amd64")
  expect(formatPlatform(parsePlatform("linux/aarch64"))).toBe("linux/arm64")
  expect(formatPlatform(parsePlatform("linux/arm64/v8"))).toBe("linux/arm64")
  expect(formatPlatform(parsePlatform("linux/arm"))).toBe("linux/arm/v7")
  expect(() => parsePlatform("linux/a b")).toThrow("not a valid platform")
  const score = (wanted: string, offered: string) =>
    platformScore(parsePlatform(wanted), parsePlatform(offered))
  expect(score("linux/amd64", "linux/amd64/v3")).toBe(0)
  for (const [wanted, better, worse] of [
    ["linux/amd64", "linux/amd64", "linux/386"],
    ["linux/amd64/v3", "linux/amd64/v2", "linux/amd64/v1"],
    ["linux/arm64", "linux/arm64/v8", "linux/arm/v7"],
    ["linux/arm64", "linux/arm/v7", "linux/arm/v6"],
    ["linux/arm/v7", "linux/arm/v7", "linux/arm/v6"],
  ] as const) {
    expect(score(wanted, better)).toBeGreaterThan(score(wanted, worse))
    expect(score(wanted, worse)).toBeGreaterThan(0)
  }
  for (const [wanted, offered] of [
    ["linux/386", "linux/amd64"],
    ["linux/arm/v6", "linux/arm/v7"],
    ["linux/arm", "linux/arm64"],
    ["linux/s390x", "linux/amd64"],
  ] as const)
    expect(score(wanted, offered)).toBe(0)
})

const config = {
  architecture: "amd64",
  os: "linux",
  created: "2024-01-02T03:04:05.123456789Z",
  config: {
    User: "1:2",
    Env: ["A=1"],
    Cmd: ["sh"],
    Entrypoint: null,
    ExposedPorts: { "80/tcp": {} },
    Volumes: { "/data": {} },
    Labels: { a: "b", __proto__: "c" },
    Healthcheck: { Test: ["CMD", "true"], Interval: 5_000_000_000, Retries: 3 },
    StopSignal: "SIGINT",
  },
  rootfs: { type: "layers", diff_ids: [digest] },
  history: [{ created: "2024-01-02T03:04:05Z", created_by: "x", empty_layer: true }],
}

test("configs: read, with durations in milliseconds", () => {
  const parsed = parseConfigDocument(json(config), "c")
  expect(parsed.created).toBe(Date.parse("2024-01-02T03:04:05.123Z"))
  expect(parsed.config).toMatchObject({
    user: "1:2",
    command: ["sh"],
    exposedPorts: ["80/tcp"],
    volumes: ["/data"],
    healthcheck: { test: ["CMD", "true"], interval: 5000, retries: 3 },
  })
  expect(parsed.config.entrypoint).toBeUndefined()
  const again = parseConfigDocument(encodeConfigDocument(parsed), "c")
  expect(again.config).toEqual(parsed.config)
  expect(again.history).toEqual(parsed.history)
  expect(parseConfigDocument(json({ rootfs: { diff_ids: null } }), "c").diffIds).toEqual([])
})

test("configs that are malformed are refused with the field's name", () => {
  const refused: [object, string][] = [
    [{ ...config, rootfs: undefined }, "no rootfs"],
    [{ ...config, rootfs: { diff_ids: ["x"] } }, "no sha256 digest"],
    [{ ...config, rootfs: { diff_ids: Array(500).fill(digest) } }, "at most"],
    [{ ...config, config: { Env: "A=1" } }, "Env in c is not a list"],
    [{ ...config, config: { Env: ["A=\0"] } }, "NUL"],
    [{ ...config, config: { Cmd: [1] } }, "Cmd in c"],
    [{ ...config, config: { Labels: { a: 1 } } }, "not a string"],
    [{ ...config, config: { Healthcheck: { Interval: -1 } } }, "invalid Interval"],
    [{ ...config, config: [] }, "not an object"],
    [{ ...config, created: "yesterday" }, "not a time"],
    [{ ...config, history: [1] }, "not an object"],
  ]
  for (const [document, message] of refused)
    expect(() => parseConfigDocument(json(document), "c")).toThrow(message)
})
