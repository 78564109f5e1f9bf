// Documents and names that others wrote, in every broken form: parsed, or refused as "invalid", and never slow.
import { expect, test } from "bun:test"
import fc from "fast-check"
import { parseConfigDocument } from "./config.ts"
import { manifestsFor, parseIndex } from "./index.ts"
import { parseManifest } from "./manifest.ts"
import { mediaTypes } from "./media-types.ts"
import { hostPlatform, parsePlatform } from "./platform.ts"
import { formatReference, parseReference } from "./reference.ts"

const digest = `sha256:${"a".repeat(64)}`
const descriptor = { mediaType: mediaTypes.ociLayerGzip, digest, size: 7 }
const wholes = {
  manifest: {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { ...descriptor, mediaType: mediaTypes.ociConfig },
    layers: [descriptor, { ...descriptor, urls: ["https://x"], annotations: { a: "b" } }],
  },
  index: {
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: [
      {
        ...descriptor,
        mediaType: mediaTypes.ociManifest,
        platform: { os: "linux", architecture: "arm", variant: "v7" },
      },
    ],
  },
  config: {
    architecture: "amd64",
    os: "linux",
    config: { Env: ["A=b"], Cmd: ["x"], Labels: { a: "b" } },
    rootfs: { type: "layers", diff_ids: [digest] },
    history: [{ created: "2020-01-01T00:00:00Z", created_by: "x" }],
  },
}
const readers = {
  manifest: (bytes: Uint8Array) => void parseManifest(bytes, "it"),
  index: (bytes: Uint8Array) => void manifestsFor(parseIndex(bytes, "it"), hostPlatform()),
  config: (bytes: Uint8Array) => void parseConfigDocument(bytes, "it"),
}

const odd = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom(null, "", -1, 1.5, 2 ** 53, [], {}, "sha256:", digest.toUpperCase(), "\0", {
    __proto__: null,
  }),
)

/** The document with one of its values, however deep, exchanged for another one. */
const exchange = (value: unknown, path: readonly number[], other: unknown): unknown => {
  const [first, ...rest] = path
  if (first === undefined || typeof value !== "object" || value === null) return other
  const keys = Object.keys(value)
  const key = keys[first % Math.max(1, keys.length)] ?? "x"
  const inner = exchange((value as Record<string, unknown>)[key], rest, other)
  if (Array.isArray(value)) return value.map((entry, at) => (String(at) === key ? inner : entry))
  return { ...value, [key]: inner }
}

const onlyInvalid = (work: () => void): void => {
  try {
    work()
  } catch (error) {
    expect(error).toMatchObject({ kind: "invalid" })
  }
}

for (const kind of ["manifest", "index", "config"] as const) {
  test(`${kind}: the whole one is read`, () => {
    readers[kind](Buffer.from(JSON.stringify(wholes[kind])))
  })
  test(`${kind}: one value exchanged`, () => {
    fc.assert(
      fc.property(fc.array(fc.nat(9), { maxLength: 4 }), odd, (path, other) => {
        onlyInvalid(() =>
          readers[kind](Buffer.from(JSON.stringify(exchange(wholes[kind], path, other)) ?? "")),
        )
      }),
      { numRuns: 500 },
    )
  })
  test(`${kind}: bytes changed, cut or put in`, () => {
    const bytes = Buffer.from(JSON.stringify(wholes[kind]))
    fc.assert(
      fc.property(fc.nat(bytes.length), fc.nat(20), fc.uint8Array({ maxLength: 8 }), (at, less, more) => {
        const changed = Buffer.concat([
          bytes.subarray(0, at),
          more,
          bytes.subarray(Math.min(at + less, bytes.length)),
        ])
        onlyInvalid(() => readers[kind](changed))
      }),
      { numRuns: 500 },
    )
  })
}

test("documents that are too deep, too long or too many", () => {
  for (const text of [
    `${"[".repeat(100_000)}`,
    `{"manifests":${"[".repeat(70)}${"]".repeat(70)}}`,
    `{"manifests":[${"{},".repeat(5000)}{}]}`,
    `{"layers":"${"x".repeat(5 << 20)}"}`,
  ])
    for (const read of Object.values(readers)) expect(() => read(Buffer.from(text))).toThrow()
})

test("names: whatever is accepted is itself when written and read again", () => {
  const piece = fc.oneof(
    fc.constantFrom(
      "/",
      ":",
      "@",
      ".",
      "-",
      "_",
      "__",
      "[::1]",
      "localhost",
      "docker.io",
      digest,
      "library",
      "A",
      "\n",
      " ",
    ),
    fc.stringMatching(/^[a-z0-9]{1,6}$/),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 9 }), (pieces) => {
      onlyInvalid(() => {
        const reference = parseReference(pieces.join(""))
        expect(parseReference(formatReference(reference))).toEqual(reference)
        expect(reference.path).not.toMatch(/(^|\/)\.\.?(\/|$)/)
      })
    }),
    { numRuns: 2000 },
  )
})

test("platforms", () => {
  fc.assert(fc.property(fc.string({ maxLength: 30 }), (text) => onlyInvalid(() => void parsePlatform(text))))
})
