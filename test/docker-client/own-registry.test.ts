// The built-in registry as the docker client and the engine see it: push, pull, passwords, the image policy.
import { afterAll, expect, test } from "bun:test"
import { type ChildProcess, spawn } from "node:child_process"
import { generateKeyPairSync } from "node:crypto"
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { hashSync } from "bcryptjs"
import { openRegistries } from "../../src/registry-client/registry-client.ts"
import { program, startEngine } from "../fixtures/engine.ts"
import { pushSigned } from "../fixtures/registries.ts"

const directory = mkdtempSync(join(tmpdir(), "sloop-own-"))
const started: ChildProcess[] = []

/** `sloop registry serve` with these flags; gives "127.0.0.1:PORT". */
const serve = async (...flags: readonly string[]): Promise<string> => {
  const [command = "", ...words] = program()
  const child = spawn(command, [...words, "registry", "serve", "--address", "127.0.0.1:0", ...flags], {
    stdio: ["ignore", "pipe", "inherit"],
  })
  started.push(child)
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    const host = /registry ready at http:\/\/(\S+)/.exec(chunk.toString())?.[1]
    if (host !== undefined) return host
  }
  throw new Error("sloop registry serve ended before it was ready")
}

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

const htpasswd = join(directory, "htpasswd")
writeFileSync(htpasswd, `ann:${hashSync("secret", 4)}\n`)
const [open, locked] = await Promise.all([
  serve("--data-root", join(directory, "open")),
  serve("--data-root", join(directory, "locked"), "--htpasswd", htpasswd),
])
const cache = await serve("--data-root", join(directory, "cache"), "--upstream", open)
const key = generateKeyPairSync("ec", { namedCurve: "P-256" })
writeFileSync(join(directory, "key.pub"), key.publicKey.export({ type: "spki", format: "pem" }))
const policy = join(directory, "policy.json")
writeFileSync(policy, JSON.stringify({ repositories: { [`${open}/signed/*`]: { signedBy: ["key.pub"] } } }))
const engine = await startEngine({ flags: ["--image-policy", policy] })
afterAll(async () => {
  await engine.close()
  for (const child of started) {
    child.kill("SIGTERM")
    await new Promise((resolve) => child.once("exit", resolve))
  }
  rmSync(directory, { recursive: true, force: true })
}, 60_000)

test("docker pushes to it and pulls from it, and through a cache before it", async () => {
  const name = `${open}/team/box:1`
  await engine.ok("tag", "busybox", name)
  const pushed = await engine.ok("push", name)
  const digest = /digest: (sha256:[0-9a-f]{64})/.exec(pushed)?.[1]
  await engine.ok("rmi", name)
  expect(await engine.ok("pull", name)).toContain(`Digest: ${digest}`)
  expect(await engine.ok("pull", `${cache}/team/box:1`)).toContain(`Digest: ${digest}`)
  expect(await engine.ok("run", "--rm", `${cache}/team/box:1`, "echo", "ran")).toBe("ran")
  const refused = await engine.docker("push", `${cache}/team/box:1`)
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("cache")])
})

test("an engine serves what is tagged for its registry without a copy, and keeps what is pushed there", async () => {
  const port = await freePort()
  const host = `localhost:${port}`
  const serving = await startEngine({ flags: ["--registry-address", `127.0.0.1:${port}`] })
  try {
    const blobs = () => readdirSync(join(serving.root, "data/content/blobs/sha256")).length
    const before = blobs()
    await serving.ok("tag", "busybox", `${host}/team/box:1`)
    await engine.ok("pull", `${host}/team/box:1`)
    expect(await engine.ok("run", "--rm", `${host}/team/box:1`, "echo", "ran")).toBe("ran")
    const idOf = (where: typeof engine) => where.ok("image", "inspect", "-f", "{{.Id}}", `${host}/team/box:1`)
    expect(await idOf(engine)).toBe(await idOf(serving))
    expect(blobs()).toBe(before)
    expect((await engine.docker("pull", `${host}/team/box:2`)).stderr).toContain("not found")

    await engine.ok("tag", "busybox", `${host}/pushed/box:1`)
    await engine.ok("push", `${host}/pushed/box:1`)
    await serving.ok("rmi", "busybox", `${host}/team/box:1`)
    await serving.ok("system", "prune", "-af")
    await serving.kill9()
    await serving.start()
    await engine.ok("rmi", `${host}/pushed/box:1`)
    await engine.ok("pull", `${host}/pushed/box:1`)
    const tags = await (await fetch(`http://${host}/v2/pushed/box/tags/list`)).json()
    expect(tags).toEqual({ name: "pushed/box", tags: ["1"] })
  } finally {
    await serving.close()
  }
}, 30_000)

test("passwords are asked for and believed", async () => {
  const name = `${locked}/team/box:1`
  await engine.ok("tag", "busybox", name)
  expect((await engine.docker("push", name)).code).toBe(1)
  const wrong = await engine.docker("login", "-u", "ann", "-p", "wrong", locked)
  expect(wrong.code).toBe(1)
  await engine.ok("login", "-u", "ann", "-p", "secret", locked)
  expect(await engine.ok("push", name)).toContain("digest: sha256:")
  await engine.ok("logout", locked)
})

test("the image policy lets only signed images in", async () => {
  const name = `${open}/signed/box:1`
  await engine.ok("tag", "busybox", name)
  const digest = /digest: (sha256:[0-9a-f]{64})/.exec(await engine.ok("push", name))?.[1] ?? ""
  const refused = await engine.docker("pull", name)
  expect([refused.code, refused.stderr.trim()]).toEqual([
    1,
    expect.stringContaining(
      `the image policy asks for a signature of ${open}/signed/box@${digest}, but it has no signature`,
    ),
  ])
  const remote = openRegistries({ mirrors: [], insecure: [], certificates: [], agent: "test" }).repository(
    { domain: open, path: "signed/box" },
    { actions: "pull,push" },
  )
  await pushSigned(remote, digest, key.privateKey, "referrer")
  expect(await engine.ok("pull", name)).toContain(`Digest: ${digest}`)
})
