// skopeo and podman of Debian: images between the engine, the built-in registry and their own stores.
import { afterAll, expect } from "bun:test"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { execute, startEngine } from "../fixtures/engine.ts"
import { missing, proves } from "./clients.ts"
import { serveRegistry } from "./registry.ts"

const directory = mkdtempSync(join(tmpdir(), "sloop-movers-"))
const engine =
  missing("skopeo") === undefined || missing("podman") === undefined ? await startEngine() : undefined
const registry = engine === undefined ? undefined : await serveRegistry(directory)
afterAll(async () => {
  await engine?.close()
  await registry?.close()
  rmSync(directory, { recursive: true, force: true })
}, 60_000)

const run = async (...words: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await execute(words, { timeout: 50_000 })
  if (code !== 0) throw new Error(`${words.join(" ")}: exit code ${code}\n${stdout}${stderr}`)
  return stdout.trim()
}
const skopeo = (...words: readonly string[]): Promise<string> => run("skopeo", "--insecure-policy", ...words)
const daemon = `unix://${engine?.socket}`

proves("skopeo", "copy from docker-daemon: and to it", async () => {
  const layout = `oci:${join(directory, "layout")}:box`
  await skopeo("copy", "--src-daemon-host", daemon, "docker-daemon:busybox:latest", layout)
  await skopeo("copy", "--dest-daemon-host", daemon, layout, "docker-daemon:moved:1")
  expect(await engine?.ok("run", "--rm", "moved:1", "echo", "ran")).toBe("ran")
  const seen = JSON.parse(await skopeo("inspect", "--daemon-host", daemon, "docker-daemon:moved:1"))
  expect([seen.Os, seen.Layers.length]).toEqual(["linux", 1])
})

proves("skopeo", "copy, list-tags, inspect and delete at the built-in registry", async () => {
  const name = `docker://${registry?.address}/skopeo/box`
  const source = ["--src-daemon-host", daemon, "docker-daemon:busybox:latest"]
  await skopeo("copy", "--dest-tls-verify=false", ...source, `${name}:1`)
  await skopeo("copy", "--dest-tls-verify=false", "--format", "oci", ...source, `${name}:2`)
  expect(JSON.parse(await skopeo("list-tags", "--tls-verify=false", name)).Tags).toEqual(["1", "2"])
  const seen = JSON.parse(await skopeo("inspect", "--tls-verify=false", `${name}:2`))
  expect(seen.Digest).toMatch(/^sha256:/)
  await skopeo("copy", "--src-tls-verify=false", `${name}:2`, `dir:${join(directory, "dir")}`)
  expect(await engine?.ok("pull", `${registry?.address}/skopeo/box:2`)).toContain(seen.Digest)
  await skopeo("delete", "--tls-verify=false", `${name}:1`)
  const left = await skopeo("list-tags", "--tls-verify=false", name)
  expect(JSON.parse(left).Tags).not.toContain("1")
})

proves("podman", "push to and pull from the built-in registry, search its catalogue", async () => {
  const own = join(directory, "podman")
  mkdirSync(own)
  const podman = (...words: readonly string[]) =>
    run(
      "podman",
      "--root",
      join(own, "root"),
      "--runroot",
      join(own, "run"),
      "--storage-driver",
      "vfs",
      ...words,
    )
  const archive = join(directory, "box.tar")
  await engine?.ok("save", "-o", archive, "busybox")
  await podman("load", "-q", "-i", archive)
  const name = `${registry?.address}/podman/box:1`
  await podman("tag", "busybox", name)
  await podman("push", "-q", "--tls-verify=false", name)
  expect(await engine?.ok("run", "--rm", name, "echo", "ran")).toContain("ran")
  await podman("rmi", "-a", "-f")
  expect(await podman("pull", "-q", "--tls-verify=false", name)).toMatch(/^[0-9a-f]{64}$/)
  const found = await podman(
    "search",
    "--tls-verify=false",
    "--format",
    "{{.Name}}",
    `${registry?.address}/podman`,
  )
  expect(found).toBe(`${registry?.address}/podman/box`)
  await podman("rmi", "-a", "-f")
})
