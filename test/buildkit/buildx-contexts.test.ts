// buildx: where a build takes its files from, and where it puts its result.
import { afterAll, beforeAll, describe, expect } from "bun:test"
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { proves } from "../clients/clients.ts"
import { hasDockerRegistry, startRegistry, type TestRegistry } from "../fixtures/docker-registry.ts"
import { startEngine, type TestEngine } from "../fixtures/engine.ts"
import { type DockerWithPlugins, dockerWithPlugins, findPlugin } from "./plugins.ts"

const buildx = findPlugin("buildx")
const timeout = 60_000

let engine: TestEngine
let docker: DockerWithPlugins
let registry: TestRegistry | undefined

function folder(name: string, files: Readonly<Record<string, string>>): string {
  const directory = join(engine.work, name)
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(directory, path, ".."), { recursive: true })
    writeFileSync(join(directory, path), content)
  }
  return directory
}

const build = (...words: readonly string[]) => docker.ok("buildx", "build", "--progress", "plain", ...words)
const host = () => registry?.host ?? ""
const run = (image: string, ...words: readonly string[]) => engine.ok("run", "--rm", image, ...words)

describe.skipIf(buildx === undefined)("buildx", () => {
  beforeAll(async () => {
    engine = await startEngine()
    docker = dockerWithPlugins(engine, { buildx })
    if (hasDockerRegistry()) registry = await startRegistry()
  }, timeout)
  afterAll(async () => {
    await registry?.close()
    await engine?.close()
  }, timeout)

  proves(
    "buildx",
    "a Dockerfile from elsewhere, from standard input, and with an archive",
    async () => {
      const context = folder("plain", { file: "in the context\n" })
      const dockerfile = "FROM busybox\nCOPY file /f\n"
      const elsewhere = join(folder("elsewhere", { "My.Dockerfile": dockerfile }), "My.Dockerfile")
      await build("-t", "elsewhere", "-f", elsewhere, context)
      expect(await run("elsewhere", "cat", "/f")).toBe("in the context")
      const stdin = await docker.run(["buildx", "build", "-t", "stdin", "-f", "-", context], {
        stdin: dockerfile,
      })
      expect(stdin.code).toBe(0)
      const alone = await docker.run(["buildx", "build", "-t", "alone", "-"], {
        stdin: "FROM busybox\nRUN echo x > /x\n",
      })
      expect(alone.code).toBe(0)
      expect(await run("alone", "cat", "/x")).toBe("x")
      writeFileSync(join(context, "Dockerfile"), dockerfile)
      const tar = spawnSync("tar", ["-C", context, "-c", "."]).stdout
      const archive = await docker.run(["buildx", "build", "-t", "archive", "-"], { stdin: tar })
      expect([archive.code, archive.stderr]).toEqual([0, expect.any(String)])
      expect(await run("archive", "cat", "/f")).toBe("in the context")
    },
    timeout,
  )

  proves(
    "buildx",
    "named contexts: a directory, an image, a layout",
    async () => {
      const other = folder("other", { o: "of the other\n" })
      const layout = join(engine.work, "layout")
      mkdirSync(layout)
      await build(
        "--output",
        `type=oci,dest=${layout}.tar`,
        folder("inner", { Dockerfile: "FROM busybox\nRUN echo inner > /inner\n" }),
      )
      expect(spawnSync("tar", ["-C", layout, "-xf", `${layout}.tar`]).status).toBe(0)
      const context = folder("named", {
        Dockerfile: "FROM base\nCOPY --from=dir o /o\nCOPY --from=lay /inner /inner\n",
      })
      await build(
        ...["-t", "named", "--build-context", `dir=${other}`],
        ...[
          "--build-context",
          "base=docker-image://busybox",
          "--build-context",
          `lay=oci-layout://${layout}`,
        ],
        context,
      )
      expect(await run("named", "cat", "/o", "/inner")).toBe("of the other\ninner")
    },
    timeout,
  )

  proves(
    "buildx",
    "results as a directory, a tar, and archives that can be loaded",
    async () => {
      const context = folder("out", {
        Dockerfile:
          "FROM busybox AS b\nRUN mkdir /r && echo 1 > /r/one && ln -s one /r/two && chmod 600 /r/one\nFROM scratch\nCOPY --from=b /r /r\n",
      })
      const to = (name: string) => join(engine.work, "results", name)
      mkdirSync(to(""), { recursive: true })
      await build("-o", to("dir"), context)
      expect(readFileSync(join(to("dir"), "r/two"), "utf8")).toBe("1\n")
      await build("-o", `type=tar,dest=${to("t.tar")}`, context)
      expect(spawnSync("tar", ["-tf", to("t.tar")]).stdout.toString()).toContain("r/one")
      await build("-t", "loaded:1", "-o", `type=docker,dest=${to("d.tar")}`, context)
      expect(await engine.ok("load", "-i", to("d.tar"))).toContain("loaded:1")
      await build("-o", `type=oci,dest=${to("o.tar")}`, "-o", `type=local,dest=${to("both")}`, context)
      expect([existsSync(to("o.tar")), existsSync(join(to("both"), "r/one"))]).toEqual([true, true])
      await build("-o", `type=oci,tar=false,dest=${to("layout")}`, context)
      const index = JSON.parse(readFileSync(join(to("layout"), "index.json"), "utf8")) as {
        manifests: { digest: string }[]
      }
      const [manifest] = index.manifests
      expect(existsSync(join(to("layout"), "blobs/sha256", manifest?.digest.slice(7) ?? "?"))).toBe(true)
    },
    timeout,
  )

  proves(
    "buildx",
    "a local cache, written and read in the client's directory",
    async () => {
      const context = folder("cached", { Dockerfile: "FROM busybox\nRUN echo $RANDOM > /random\n" })
      const cache = join(engine.work, "cache")
      await build("-t", "first", "--cache-to", `type=local,dest=${cache}`, context)
      const random = await run("first", "cat", "/random")
      await engine.ok("rmi", "first")
      await docker.ok("buildx", "prune", "--all", "--force")
      await build("-t", "second", "--cache-from", `type=local,src=${cache}`, context)
      expect(await run("second", "cat", "/random")).toBe(random)
    },
    timeout,
  )

  proves(
    "buildx",
    "pushed as it is built, with a cache in the registry",
    async () => {
      if (registry === undefined) return
      const context = folder("pushed", { Dockerfile: "FROM busybox\nRUN echo $RANDOM > /random\n" })
      const metadata = join(engine.work, "pushed.json")
      const name = `${host()}/pushed:1`
      await build("-t", name, "--push", "--metadata-file", metadata, context)
      const { "containerimage.digest": digest } = JSON.parse(readFileSync(metadata, "utf8")) as Record<
        string,
        string
      >
      const accept =
        "application/vnd.oci.image.manifest.v1+json,application/vnd.oci.image.index.v1+json,application/vnd.docker.distribution.manifest.v2+json"
      const answer = await fetch(`${registry.origin}/v2/pushed/manifests/1`, { headers: { Accept: accept } })
      expect(answer.headers.get("docker-content-digest")).toBe(digest ?? "")

      const cache = `${host()}/cache:1`
      await build("-t", "random:1", "--cache-to", `type=registry,ref=${cache},mode=max`, context)
      const random = await run("random:1", "cat", "/random")
      await engine.ok("rmi", "-f", "random:1", name)
      await docker.ok("buildx", "prune", "--all", "--force")
      await build("-t", "random:2", "--cache-from", `type=registry,ref=${cache}`, context)
      expect(await run("random:2", "cat", "/random")).toBe(random)
    },
    timeout,
  )

  proves(
    "buildx",
    "several platforms in one index",
    async () => {
      if (registry === undefined) return
      const context = folder("platforms", {
        Dockerfile: "FROM scratch\nARG TARGETARCH\nCOPY f-$TARGETARCH /f\n",
        "f-amd64": "1",
        "f-arm64": "2",
      })
      const name = `${host()}/platforms:1`
      await build(
        "--platform",
        "linux/amd64,linux/arm64",
        "--provenance",
        "false",
        "-t",
        name,
        "--push",
        context,
      )
      const accept =
        "application/vnd.oci.image.index.v1+json,application/vnd.docker.distribution.manifest.list.v2+json"
      const answer = await fetch(`${registry.origin}/v2/platforms/manifests/1`, {
        headers: { Accept: accept },
      })
      const index = (await answer.json()) as { manifests: { platform: { architecture: string } }[] }
      expect(index.manifests.map(({ platform }) => platform.architecture).sort()).toEqual(["amd64", "arm64"])
    },
    timeout,
  )

  proves(
    "buildx",
    "bake: targets of a file, one built on another",
    async () => {
      const directory = join(engine.work, "baked")
      folder("baked", {
        "docker-bake.json": JSON.stringify({
          group: { default: { targets: ["parent", "child"] } },
          target: {
            parent: { context: join(directory, "p"), tags: ["baked-parent"], args: { WORD: "parental" } },
            child: {
              context: join(directory, "c"),
              contexts: { above: "target:parent" },
              tags: ["baked-child"],
            },
          },
        }),
        "p/Dockerfile": "FROM busybox\nARG WORD\nRUN echo $WORD > /word\n",
        "c/Dockerfile": "FROM above\nRUN echo and child >> /word\n",
      })
      await docker.ok("buildx", "bake", "-f", join(directory, "docker-bake.json"))
      expect(await run("baked-child", "cat", "/word")).toBe("parental\nand child")
      expect(await run("baked-parent", "cat", "/word")).toBe("parental")
    },
    timeout,
  )

  proves(
    "buildx",
    "bake: targets that share a context, over sessions within calls",
    async () => {
      const directory = join(engine.work, "shared")
      folder("shared", {
        Dockerfile: "FROM busybox\nARG N\nCOPY f /f\nRUN echo $N >> /f\n",
        f: "shared\n",
        "docker-bake.json": JSON.stringify({
          group: { default: { targets: ["one", "two", "three"] } },
          target: Object.fromEntries(
            ["one", "two", "three"].map((name) => [
              name,
              { context: directory, args: { N: name }, tags: [`shared-${name}`] },
            ]),
          ),
        }),
      })
      await docker.ok("buildx", "bake", "-f", join(directory, "docker-bake.json"))
      expect(await run("shared-two", "cat", "/f")).toBe("shared\ntwo")
    },
    timeout,
  )

  proves(
    "buildx",
    "what a step may have: hosts, limits, shared memory, networks",
    async () => {
      const context = folder("stepping", {
        Dockerfile:
          "FROM busybox\nRUN grep -w x /etc/hosts; ulimit -n; df -k /dev/shm | tail -1; ls /sys/class/net\n",
      })
      const text = await build(
        ...["--no-cache", "--add-host", "x:1.2.3.4", "--add-host", "gate:host-gateway"],
        ...["--ulimit", "nofile=100:200", "--shm-size", "32m", "--network", "none"],
        context,
      )
      for (const words of [/1\.2\.3\.4\s+x/, / 100\n/, / 32768 /, / lo\n/]) expect(text).toMatch(words)
      expect(text).not.toContain("eth0")
      const hosted = await build("--no-cache", "--network", "host", context)
      expect(hosted).toContain(" lo\n")
    },
    timeout,
  )
})
