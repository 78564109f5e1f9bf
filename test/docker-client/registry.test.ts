// Registries by the docker client: pull, push, login and search against Debian's docker-registry.
import { afterAll, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { hasDockerRegistry, startRegistry } from "../fixtures/docker-registry.ts"
import { startEngine } from "../fixtures/engine.ts"
import { layerTar, makeImage, makeIndex, putImage, putManifest } from "../fixtures/remote-image.ts"
import { proof } from "./proof.ts"

if (!hasDockerRegistry()) throw new Error("these tests need Debian's docker-registry")
const account = { username: "someone", password: "p:a ss" }
const [plain, locked, secure] = await Promise.all([
  startRegistry(),
  startRegistry({ account }),
  startRegistry({ account, tls: true }),
])
const certificates = join(secure.root, "certs.d")
mkdirSync(join(certificates, secure.host), { recursive: true })
writeFileSync(join(certificates, secure.host, "ca.crt"), secure.ca)
const engine = await startEngine({
  flags: ["--certs-dir", certificates, "--registry-mirror", plain.origin],
})
afterAll(async () => {
  await engine.close()
  for (const registry of [plain, locked, secure]) await registry.close()
}, 60_000)
const { docker, dockerWith, ok } = engine

const digestLine = /digest: (sha256:[0-9a-f]{64}) size: \d+/
const idOf = (name: string) => ok("image", "inspect", "-f", "{{.Id}}", name)

proof(["push", "pull"], "what is pushed comes back as the same image with the same digest", async () => {
  const name = `${plain.host}/team/box:1`
  const id = await idOf("busybox")
  await ok("tag", "busybox", name)
  const pushed = await ok("push", name)
  expect(pushed).toContain(`The push refers to repository [${plain.host}/team/box]`)
  expect(pushed).toMatch(/[0-9a-f]{12}: Preparing\n[0-9a-f]{12}: Pushed\n/)
  const digest = digestLine.exec(pushed)?.[1] ?? ""
  expect(await ok("push", name)).toMatch(/Layer already exists/)
  expect(await ok("image", "inspect", "-f", "{{json .RepoDigests}}", name)).toBe(
    `["${plain.host}/team/box@${digest}"]`,
  )
  await ok("tag", name, `${plain.host}/other/box:1`)
  expect(await ok("push", `${plain.host}/other/box:1`)).toContain("Mounted from team/box")
  await ok("rmi", name, `${plain.host}/other/box:1`, "busybox")
  expect(await ok("images", "-q")).toBe("")

  const pulled = await ok("pull", name)
  expect(pulled).toMatch(
    new RegExp(
      `^1: Pulling from team/box\n([0-9a-f]{12}: (Pulling fs layer|Waiting|Verifying Checksum|Download complete|Pull complete)\n)+Digest: ${digest}\nStatus: Downloaded newer image for ${name}\n${name}$`,
    ),
  )
  expect(await idOf(name)).toBe(id)
  expect(await ok("run", "--rm", name, "echo", "ran")).toBe("ran")
  expect(await ok("pull", name)).toContain(`Status: Image is up to date for ${name}`)
  expect(digestLine.exec(await ok("push", name))?.[1]).toBe(digest)
  const byDigest = `${plain.host}/other/box@${digest}`
  expect(await ok("pull", byDigest)).toContain("Already exists")
  expect(await idOf(byDigest)).toBe(id)
  await ok("tag", name, "busybox")
})

proof(["run --pull", "create --pull"], "run pulls what is missing", async () => {
  const name = `${plain.host}/team/box:1`
  await docker("rmi", name)
  const result = await docker("run", "--rm", name, "echo", "ran")
  expect(result.stderr).toContain(`Unable to find image '${name}' locally`)
  expect(result.stderr).toContain(`Status: Downloaded newer image for ${name}`)
  expect(result.stdout).toBe("ran\n")
  expect((await docker("run", "--rm", "--pull", "always", name, "true")).stderr).toContain(
    "Image is up to date",
  )
})

proof(
  ["push --all-tags", "pull --all-tags", "push --quiet", "pull --quiet"],
  "all tags, and quietly",
  async () => {
    const name = `${plain.host}/tags`
    for (const tag of ["one", "two", "three"]) await ok("tag", "busybox", `${name}:${tag}`)
    const pushed = await ok("push", "--all-tags", name)
    for (const tag of ["one", "two", "three"])
      expect(pushed).toMatch(new RegExp(`^${tag}: digest: sha256:`, "m"))
    expect(await ok("push", "-q", `${name}:one`)).toBe(`${name}:one`)
    for (const tag of ["one", "two", "three"]) await ok("rmi", `${name}:${tag}`)
    await ok("pull", "-a", name)
    expect((await ok("images", "--format", "{{.Tag}}", name)).split("\n").toSorted()).toEqual([
      "one",
      "three",
      "two",
    ])
    expect(await ok("pull", "-q", `${name}:two`)).toBe(`${name}:two`)
    await ok("rmi", `${name}:one`, `${name}:two`, `${name}:three`)
  },
)

proof(
  ["pull --platform", "push --platform", "pull --disable-content-trust", "push --disable-content-trust"],
  "an index is a choice of platforms, and its bytes may be packed in any way",
  async () => {
    const platforms: Record<string, string>[] = [
      { architecture: "amd64" },
      { architecture: "arm64", variant: "v8" },
      { architecture: "arm", variant: "v6" },
      { architecture: "arm", variant: "v7" },
    ]
    const forms = [
      ["oci", "zstd"],
      ["oci", "none"],
      ["docker", "gzip"],
      ["oci", "gzip"],
    ] as const
    const name = `${plain.host}/many:latest`
    const entries = []
    for (const [at, platform] of platforms.entries()) {
      const [form, compression] = forms[at] ?? ["oci", "gzip"]
      const layer = await layerTar("which", JSON.stringify(platform))
      const image = makeImage({ layers: [layer], form, compression, ...platform })
      await putImage(plain.origin, "many", image)
      entries.push({ image, platform: { os: "linux", ...platform } })
    }
    await putManifest(plain.origin, "many", "latest", makeIndex(entries))
    for (const [wanted, expected] of [
      ["linux/amd64", "amd64 "],
      ["linux/arm64", "arm64 "],
      ["linux/arm/v7", "arm v7"],
      ["linux/arm/v6", "arm v6"],
      ["linux/arm", "arm v7"],
    ] as const) {
      await ok("pull", "--disable-content-trust", "--platform", wanted, name)
      expect(await ok("image", "inspect", "-f", "{{.Architecture}} {{.Variant}}", name)).toBe(
        expected.replace("arm64 ", "arm64 v8"),
      )
    }
    expect((await docker("pull", "--platform", "linux/s390x", name)).stderr).toContain(
      "no matching manifest for linux/s390x in the manifest list entries",
    )
    expect((await docker("pull", "--platform", "linux/arm64", `${plain.host}/team/box:1`)).stderr).toContain(
      "does not match the specified platform: wanted linux/arm64",
    )
    await ok("tag", name, `${plain.host}/one:latest`)
    const one = `${plain.host}/one:latest`
    await ok("push", "--disable-content-trust", "--platform", "linux/arm/v7", one)
    expect((await docker("push", "--platform", "linux/s390x", one)).stderr).toContain("linux/s390x")
    await ok("rmi", name)
  },
)

proof(
  ["login", "login --username", "login --password", "login --password-stdin", "logout"],
  "accounts: refused without, pushed and pulled with",
  async () => {
    for (const { host } of [locked, secure]) {
      const name = `${host}/private/box:1`
      await ok("tag", "busybox", name)
      const refused = await docker("push", name)
      expect(refused.code).toBe(1)
      expect(refused.stderr).toContain("unauthorized: authentication required")
      expect((await docker("pull", name)).stderr).toContain("unauthorized: authentication required")
      const wrong = await docker("login", "-u", account.username, "-p", "wrong", host)
      expect(wrong.code).toBe(1)
      expect(wrong.stderr).toMatch(/login attempt to https?:\/\/.*\/v2\/ failed with status: 401/)
      const right = await dockerWith(
        { stdin: account.password },
        "login",
        "-u",
        account.username,
        "--password-stdin",
        host,
      )
      expect(right.stdout).toContain("Login Succeeded")
      expect(await ok("push", name)).toMatch(digestLine)
      await ok("rmi", name)
      expect(await ok("pull", name)).toContain("Downloaded newer image")
      await ok("logout", host)
      expect((await docker("push", name)).stderr).toContain("unauthorized: authentication required")
      await ok("rmi", name)
    }
    expect(engine.daemonLog()).not.toContain(account.password)
  },
)

test("a certificate of an unknown authority is not accepted, and says so", async () => {
  const other = await startRegistry({ tls: true })
  try {
    const directory = join(certificates, other.host)
    mkdirSync(directory)
    writeFileSync(join(directory, "ca.crt"), secure.ca)
    const result = await docker("pull", `${other.host}/x`)
    expect(result.stderr).toMatch(/its certificate is signed by an unknown authority/)
    rmSync(directory, { recursive: true })
  } finally {
    await other.close()
  }
})

test("a mirror answers for docker.io, and short names come from it", async () => {
  await ok("tag", "busybox", `${plain.host}/library/mirrored:1`)
  await ok("push", `${plain.host}/library/mirrored:1`)
  await ok("rmi", `${plain.host}/library/mirrored:1`)
  expect(await ok("pull", "mirrored:1")).toContain("docker.io/library/mirrored:1")
  expect(await ok("run", "--rm", "mirrored:1", "echo", "ran")).toBe("ran")
  await ok("rmi", "mirrored:1")
})

test("what is not there is told in Docker's words", async () => {
  const none = await docker("pull", `${plain.host}/nothing:1`)
  expect(none.stderr).toBe(
    `Error response from daemon: manifest for ${plain.host}/nothing:1 not found: manifest unknown: manifest unknown\n`,
  )
  expect((await docker("push", `${plain.host}/nothing`)).stderr).toContain(
    `An image does not exist locally with the tag: ${plain.host}/nothing`,
  )
  expect((await docker("pull", "127.0.0.1:1/x")).stderr).toContain("127.0.0.1:1: connection refused")
})

proof(
  ["search", "search --limit", "search --filter", "search --format", "search --no-trunc"],
  "search looks through a catalog",
  async () => {
    const format = ["--format", "{{.Name}}"]
    expect(await ok("search", ...format, "--no-trunc", `${plain.host}/box`)).toBe(
      `${plain.host}/other/box\n${plain.host}/team/box`,
    )
    expect(await ok("search", ...format, "--limit", "1", `${plain.host}/box`)).toBe(`${plain.host}/other/box`)
    expect(await ok("search", ...format, "--filter", "is-official=true", `${plain.host}/box`)).toBe("")
  },
)

test("distribution: a look without a pull", async () => {
  const look = spawnSync("curl", [
    "-s",
    "--unix-socket",
    engine.socket,
    `http://x/v1.47/distribution/${plain.host}/many:latest/json`,
  ])
  const found = JSON.parse(look.stdout.toString())
  expect(found.Descriptor.mediaType).toBe("application/vnd.oci.image.index.v1+json")
  expect(found.Platforms).toHaveLength(4)
  expect(found.Platforms[3]).toEqual({ architecture: "arm", os: "linux", variant: "v7" })
})

test("events tell of pulls and pushes", async () => {
  const since = String(Math.floor(Date.now() / 1000) - 1)
  await ok("pull", `${plain.host}/team/box:1`)
  await ok("push", `${plain.host}/team/box:1`)
  const until = String(Math.floor(Date.now() / 1000) + 1)
  const told = await ok("events", "--since", since, "--until", until, "--format", "{{.Action}} {{.Actor.ID}}")
  expect(told).toContain(`pull ${plain.host}/team/box:1`)
  expect(told).toContain(`push ${plain.host}/team/box:1`)
})

test("credentials are nowhere but where the client keeps them", () => {
  const kept = readFileSync(join(engine.root, "daemon.log"), "utf8")
  expect(kept).not.toContain(Buffer.from(`${account.username}:${account.password}`).toString("base64"))
})
