// Damaged archives: refused clearly or the same both ways; never a hang, a broken image or an error of another kind.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import fc from "fast-check"
import { sealHeader, type TarEntry, tarOf } from "../../../launcher/test/tar.ts"
import { openTestKernel } from "../../../test/fixtures/launcher-kernel.ts"
import { Failure } from "../../base/errors.ts"
import { bothWays } from "./both-ways.ts"
import { LayerTree } from "./layer-tree.ts"
import { TarScan } from "./tar-scan.ts"

let root: string
let opened: Awaited<ReturnType<typeof openTestKernel>>
beforeAll(async () => {
  mkdirSync("/var/tmp/sloop-test", { recursive: true })
  root = mkdtempSync("/var/tmp/sloop-test/fuzz-")
  opened = await openTestKernel(root)
})
afterAll(async () => {
  await opened.stop()
  rmSync(root, { recursive: true, force: true })
})

const mtime = 1_000_000_000_000n
const entries: readonly TarEntry[] = [
  { name: "d/", kind: "5", mode: 0o755, mtime, xattrs: { "user.a": "b" } },
  { name: "d/f", body: Buffer.from("body"), mtime, pax: { comment: "none" } },
  { name: "d/l", kind: "2", link: "../f", mtime },
  { name: "h", kind: "1", link: "d/f", mtime },
  { name: "c", kind: "3", device: [1, 3], mtime },
  { name: `${"long/".repeat(40)}name`, body: Buffer.from("x"), mtime: mtime + 5n },
  {
    name: "s",
    body: Buffer.concat([Buffer.from("1\n4096\n512\n".padEnd(512, "\0")), Buffer.alloc(512, "s")]),
    mtime,
    pax: {
      "GNU.sparse.major": "1",
      "GNU.sparse.minor": "0",
      "GNU.sparse.name": "sparse",
      "GNU.sparse.realsize": "10000",
    },
  },
  { name: "d/.wh.gone", mtime },
  { name: "d/.wh..wh..opq", mtime },
]
const whole = tarOf(...entries)

const headersOf = (tar: Buffer): number[] => {
  const found: number[] = []
  for (let at = 0; at + 512 <= tar.length; at += 512)
    if (sealHeader(Buffer.from(tar.subarray(at, at + 512))).equals(tar.subarray(at, at + 512))) found.push(at)
  return found
}
const headers = headersOf(whole)

const change = fc.record({
  header: fc.nat(headers.length - 1),
  at: fc.nat(511),
  value: fc.oneof(
    fc.nat(255),
    fc.constantFrom(0, 0x20, 0x2f, 0x30, 0x31, 0x35, 0x37, 0x53, 0x78, 0x80, 0xff),
  ),
  seal: fc.boolean(),
})
const damaged = fc
  .tuple(fc.array(change, { minLength: 1, maxLength: 3 }), fc.option(fc.nat(whole.length)))
  .map(([changes, cut]) => {
    const tar = Buffer.from(whole)
    for (const { header, at, value, seal } of changes) {
      const from = headers[header] ?? 0
      tar[from + at] = value
      if (seal) sealHeader(tar.subarray(from, from + 512))
    }
    return cut === null ? tar : tar.subarray(0, cut)
  })

test("damaged headers end the same both ways", async () => {
  let refused = 0
  await fc.assert(
    fc.asyncProperty(damaged, async (tar) => {
      const { unpacked, image } = await bothWays(opened.kernel, root, tar, 4096)
      expect(image.refused === undefined ? "taken" : "refused").toBe(
        unpacked.refused === undefined ? "taken" : "refused",
      )
      expect(image.files).toEqual(unpacked.files)
      expect(image.attributes).toEqual(unpacked.attributes)
      if (image.refused !== undefined) {
        refused++
        expect(image.refused).toStartWith("the layer cannot be unpacked: ")
      }
    }),
    { numRuns: 250 },
  )
  expect(refused).toBeGreaterThan(20)
}, 120_000)

test("any bytes at all end in one clear failure, whatever the portions they come in", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 4096 }),
      damaged,
      fc.integer({ min: 1, max: 700 }),
      (noise, tar, portion) => {
        for (const bytes of [Buffer.from(noise), Buffer.concat([tar, noise])]) {
          const tree = new LayerTree([0, 0])
          const scan = new TarScan((entry) => tree.apply(entry))
          try {
            for (let at = 0; at < bytes.length; at += portion) scan.write(bytes.subarray(at, at + portion))
            scan.end()
          } catch (error) {
            expect(error).toBeInstanceOf(Failure)
            expect((error as Failure).kind).toBe("invalid")
          }
        }
      },
    ),
    { numRuns: 2000 },
  )
}, 60_000)
