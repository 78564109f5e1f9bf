// The images that the corpus builds upon, as one docker-archive whose bytes depend on busybox alone.
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { type TarSource, writeTar } from "../../src/base/tar-writer.ts"
import { baseImage } from "../fixtures/base-image.ts"
import { readTar } from "./tar-facts.ts"

const busybox = (): Buffer => {
  const found = readTar(readFileSync(baseImage)).find(({ path }) => path === "bin/busybox")
  if (found === undefined) throw new Error(`${baseImage} has no bin/busybox`)
  return found.body
}

const applets =
  "sh cat echo ls mkdir rm ln id pwd touch chmod chown stat test true false grep find sort wc mkfifo mv cp date sleep kill head tail sed env seq du dd"

const text = (name: string, body: string, mode = 0o644): TarSource => ({
  name,
  type: "file",
  mode,
  body: Buffer.from(body),
})
const directory = (name: string, mode = 0o755): TarSource => ({ name: `${name}/`, type: "directory", mode })
const link = (name: string, linkName: string): TarSource => ({ name, type: "symlink", linkName })

const collect = async (tar: AsyncIterable<Uint8Array>): Promise<Buffer> => {
  const chunks: Uint8Array[] = []
  for await (const chunk of tar) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex")

const rootFiles = (): TarSource[] => [
  directory("bin"),
  { name: "bin/busybox", type: "file", mode: 0o755, body: busybox() },
  ...applets.split(" ").map((name) => link(`bin/${name}`, "busybox")),
  directory("data"),
  text("data/kept", "kept\n"),
  directory("dev"),
  directory("etc"),
  text("etc/group", "root:x:0:\nstaff:x:50:bob\nbob:x:1000:\n"),
  text("etc/issue", "the base\n"),
  text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000:Bob:/home/bob:/bin/sh\n"),
  directory("home"),
  directory("home/bob"),
  link("link-to-data", "data"),
  directory("proc"),
  directory("root", 0o700),
  directory("sys"),
  directory("tmp", 0o1777),
]

interface Made {
  readonly name: string
  readonly config: Readonly<Record<string, unknown>>
  readonly layers: readonly Buffer[]
}

const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

export interface BaseImages {
  readonly archive: Buffer
  /** Layers that no build made. */
  readonly diffIds: ReadonlySet<string>
  readonly names: readonly string[]
}

/** base:1 (busybox and a few files), configured:1 (every field of a config), onbuild:1 (triggers). */
export const makeBaseImages = async (): Promise<BaseImages> => {
  const base = await collect(writeTar(rootFiles()))
  const more = await collect(writeTar([directory("etc"), text("etc/configured", "yes\n")]))
  const images: Made[] = [
    { name: "sloop-corpus/base:1", config: { Env: [path], Cmd: ["sh"] }, layers: [base] },
    {
      name: "sloop-corpus/configured:1",
      layers: [base, more],
      config: {
        Env: [path, "FROM_BASE=yes"],
        Cmd: ["inherited"],
        User: "bob",
        WorkingDir: "/home/bob",
        Labels: { base: "label" },
        ExposedPorts: { "81/tcp": {} },
        Volumes: { "/inherited": {} },
        StopSignal: "SIGHUP",
        Healthcheck: { Test: ["CMD-SHELL", "true"], Interval: 7_000_000_000 },
        Shell: ["/bin/sh", "-uc"],
      },
    },
    {
      name: "sloop-corpus/onbuild:1",
      layers: [base],
      config: {
        Env: [path],
        Cmd: ["sh"],
        OnBuild: ["ENV TRIGGERED=1", "COPY trigger.txt /", "RUN cat /trigger.txt > /run"],
      },
    },
  ]
  const entries: TarSource[] = []
  const manifest: unknown[] = []
  const diffIds = new Set<string>()
  const written = new Set<string>()
  for (const { name, config, layers } of images) {
    const names = layers.map((layer) => {
      const digest = sha256(layer)
      diffIds.add(`sha256:${digest}`)
      if (!written.has(digest))
        entries.push({ name: `${digest}.tar`, type: "file", mode: 0o644, body: layer })
      written.add(digest)
      return `${digest}.tar`
    })
    const created = "2020-01-01T00:00:00Z"
    const document = Buffer.from(
      JSON.stringify({
        architecture: "amd64",
        os: "linux",
        created,
        config,
        rootfs: { type: "layers", diff_ids: layers.map((layer) => `sha256:${sha256(layer)}`) },
        history: layers.map(() => ({ created, created_by: "made for the corpus" })),
      }),
    )
    const documentName = `${sha256(document)}.json`
    entries.push({ name: documentName, type: "file", mode: 0o644, body: document })
    manifest.push({ Config: documentName, RepoTags: [name], Layers: names })
  }
  entries.push(text("manifest.json", JSON.stringify(manifest)))
  return {
    archive: await collect(writeTar(entries)),
    diffIds,
    names: images.map(({ name }) => name),
  }
}
