// The tar decoder against archives that chance has damaged: it answers, and never dies.
import { afterAll, expect, test } from "bun:test"
import { execFileSync } from "node:child_process"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import fc from "fast-check"
import { freshDirectory, unpack } from "./archives.ts"
import { startLauncher } from "./client.ts"
import { sealHeader, tarOf } from "./tar.ts"

const launcher = await startLauncher()
afterAll(() => launcher[Symbol.asyncDispose]())

const runs = Number(process.env.SLOOP_FUZZ_RUNS ?? 300)

function seeds(directory: string): Buffer[] {
  mkdirSync(join(directory, "in/d"), { recursive: true })
  writeFileSync(join(directory, "in/plain"), `x${"\0".repeat(200_000)}y`)
  execFileSync("cp", ["--sparse=always", "plain", "d/holes"], { cwd: join(directory, "in") })
  execFileSync("ln", ["plain", "d/hard"], { cwd: join(directory, "in") })
  const tar = (...options: string[]) =>
    execFileSync("tar", ["c", "-S", ...options, "-C", join(directory, "in"), "."])
  const records = {
    "SCHILY.xattr.user.a": "b",
    path: `long/${"p".repeat(120)}`,
    mtime: "12.5",
    uid: "3000000",
  }
  const ours = tarOf(
    { name: "d/", kind: "5" },
    { name: "d/.wh..wh..opq" },
    { name: ".wh.x" },
    { name: "f", body: Buffer.from("hello"), pax: records },
    { name: "l", kind: "2", link: "d" },
    { name: "h", kind: "1", link: "f" },
    { name: "c", kind: "3", device: [1, 3] },
  )
  return [
    ours,
    tar("--format=gnu"),
    tar("--format=posix"),
    tar("--format=posix", "--sparse-version=0.0"),
    tar("--format=posix", "--sparse-version=0.1"),
  ]
}

type Mutation = { readonly at: number; readonly byte: number; readonly span: number; readonly kind: string }

/** Changes bytes; headers near the change get a right checksum again, so that the damage is read. */
function mutate(archive: Buffer, mutations: readonly Mutation[]): Buffer {
  let bytes = Buffer.from(archive)
  for (const { at, byte, span, kind } of mutations) {
    const place = at % bytes.length
    if (kind === "cut") bytes = bytes.subarray(0, place)
    else if (kind === "double")
      bytes = Buffer.concat([bytes.subarray(0, place), bytes.subarray(Math.max(0, place - 512))])
    else bytes.fill(byte, place, Math.min(bytes.length, place + (kind === "span" ? span : 1)))
    if (bytes.length === 0) return bytes
    const block = place - (place % 512)
    if (
      kind !== "cut" &&
      block + 512 <= bytes.length &&
      bytes.subarray(block + 257, block + 262).equals(Buffer.from("ustar"))
    )
      sealHeader(bytes.subarray(block, block + 512))
  }
  return bytes
}

const mutation = fc.record({
  // Most of an archive's meaning lies in its first blocks.
  at: fc.oneof(fc.nat(6000), fc.nat(1 << 20)),
  byte: fc.oneof(fc.constantFrom(0, 0x20, 0x30, 0x37, 0x39, 0x80, 0xff, 0x2f, 0x2e, 0x3d, 0x0a), fc.nat(255)),
  span: fc.integer({ min: 2, max: 30 }),
  kind: fc.constantFrom("byte", "byte", "byte", "span", "span", "cut", "double"),
})

test("mutated archives end in ok or in one clear failure", async () => {
  using place = freshDirectory(launcher.directory)
  const archives = seeds(place.path)
  const root = join(place.path, "root")
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.array(mutation, { minLength: 1, maxLength: 6 }),
      fc.constantFrom("none", "overlay", "apply"),
      async (seed, mutations, whiteouts) => {
        mkdirSync(root)
        try {
          const archive = mutate(archives[seed % archives.length] ?? Buffer.alloc(0), mutations)
          const report = await unpack(launcher.socket, root, archive, { whiteouts, limit: String(64 << 20) })
          expect(["ok", "failed"]).toContain(report.kind)
          if (report.kind === "failed") expect(report.fields[3]).not.toBe("")
        } finally {
          rmSync(root, { recursive: true, force: true })
        }
      },
    ),
    { numRuns: runs },
  )
}, 120_000)
