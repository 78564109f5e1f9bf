// BuildKit itself reads what this engine pushes, and this engine what BuildKit pushes; where buildkitd and buildx are.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import {
  buildImage,
  exportRequest,
  exportRooms,
  keyOf,
  runExport,
} from "../../../test/fixtures/built-image.ts"
import { busyboxRootfsTar } from "../../../test/fixtures/busybox-image.ts"
import { type ImageStore, openImageStore } from "../../../test/fixtures/image-store.ts"
import { startRegistries, type TestRegistries } from "../../../test/fixtures/registries.ts"
import { layerTar } from "../../../test/fixtures/remote-image.ts"
import type { CacheLocation } from "../build.ts"
import { openImportedCaches } from "./open.ts"

const buildkitd = process.env.SLOOP_BUILDKITD ?? "/opt/sloop-peers/bin/buildkitd"
const buildx = process.env.SLOOP_BUILDX ?? "/opt/sloop-peers/bin/buildx"
const here = existsSync(buildkitd) && existsSync(buildx)

let store: ImageStore
let servers: TestRegistries
let work: string
let daemon: ChildProcess | undefined
beforeAll(async () => {
  if (!here) return
  store = await openImageStore()
  servers = await startRegistries(1)
  work = mkdtempSync("/tmp/slx-")
  writeFileSync(join(work, "toml"), `[registry."${servers.domain(0)}"]\nhttp = true\n`)
  const words = ["--root", join(work, "root"), "--addr", `unix://${work}/s`, "--config", join(work, "toml")]
  daemon = spawn(buildkitd, [...words, "--oci-worker-snapshotter=overlayfs", "--oci-worker-net=host"], {
    stdio: "ignore",
    env: { ...process.env, TMPDIR: work },
  })
  for (let attempt = 0; !existsSync(join(work, "s")) && attempt < 200; attempt++) await Bun.sleep(50)
}, 20_000)
afterAll(async () => {
  if (!here) return
  const ended = new Promise((resolve) => daemon?.once("exit", resolve))
  daemon?.kill("SIGTERM")
  await ended
  await servers.close()
  await store.close()
  rmSync(work, { recursive: true, force: true })
}, 20_000)

const execute = async (...words: string[]): Promise<string> => {
  const env = { ...process.env, BUILDX_CONFIG: join(work, "buildx"), DOCKER_CONFIG: join(work, "docker") }
  const child = Bun.spawn([buildx, ...words], { env, stdin: "ignore", stdout: "pipe", stderr: "pipe" })
  const [out, told] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  if ((await child.exited) !== 0) throw new Error(`buildx ${words[0]}: ${told}`)
  return out + told
}
const registry = (reference: string, more: Readonly<Record<string, string>> = {}): CacheLocation => ({
  type: "registry",
  attributes: new Map(Object.entries({ ref: reference, ...more })),
})

test.skipIf(!here)(
  "images, provenance and both forms of caches",
  async () => {
    const host = servers.domain(0)
    const image = await buildImage(store, [await busyboxRootfsTar(), await layerTar("hello", "hi\n")])
    const attestations = new Map([["provenance", new Map([["mode", "max"]])]])
    const cacheTo = [
      registry(`${host}/cache:image`, { mode: "max" }),
      registry(`${host}/cache:index`, { "image-manifest": "false" }),
    ]
    const name = `${host}/base:1`
    await runExport(store, [image], [exportRequest("registry", { name })], { attestations, cacheTo })

    await execute("create", "--name", "interop", "--driver", "remote", `unix://${work}/s`)
    mkdirSync(join(work, "context"))
    writeFileSync(join(work, "context", "Dockerfile"), `FROM ${name}\nRUN grep hi /hello > /there\n`)
    const from = ["image", "index"].map((form) => `--cache-from=type=registry,ref=${host}/cache:${form}`)
    const to = [`--cache-to=type=registry,ref=${host}/theirs:1,mode=max`, "--cache-to=type=inline"]
    const output = `--output=type=image,name=${host}/built:1,push=true`
    const built = ["--builder", "interop", "build", "--progress", "plain", "--provenance=false"]
    const told = await execute(...built, ...from, ...to, output, join(work, "context"))
    for (const form of ["image", "index"])
      expect(told).toContain(`importing cache manifest from ${host}/cache:${form}`)
    expect(told).toContain("inferred cache manifest type: application/vnd.oci.image.manifest.v1+json")
    expect(told).toContain("inferred cache manifest type: application/vnd.oci.image.index.v1+json")
    expect(told).not.toContain("ERROR")
    const provenance = await execute("imagetools", "inspect", "--format", "{{json .Provenance}}", name)
    expect(JSON.parse(provenance).SLSA.buildType).toBe("https://mobyproject.org/buildkit@v1")

    const errors: string[] = []
    const cache = openImportedCaches(
      exportRooms(store),
      [registry(`${host}/theirs:1`), registry(`${host}/built:1`)],
      {
        credentials: async () => undefined,
        report: (event) => event.type === "vertex" && errors.push(event.vertex.error),
        hold: store.images.sharing.hold(),
        signal: new AbortController().signal,
      },
    )
    expect(await cache.find(keyOf(image, 0))).toBeUndefined()
    expect(errors.filter((error) => error !== "")).toEqual([])
    await store.images.pull({ reference: `${host}/built:1` }, () => {})
  },
  60_000,
)
