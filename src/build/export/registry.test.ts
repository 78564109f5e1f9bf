// Pushed results: images, indexes and attestations at real registries, credentials for the right one, refusals with a sentence.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test"
import { randomBytes } from "node:crypto"
import { buildImage, exportRequest, runExport } from "../../../test/fixtures/built-image.ts"
import { hasDockerRegistry, startRegistry } from "../../../test/fixtures/docker-registry.ts"
import { filesOf, type ImageStore, openImageStore } from "../../../test/fixtures/image-store.ts"
import { startRegistries, type TestRegistries } from "../../../test/fixtures/registries.ts"
import { layerTar, makeImage, putImage } from "../../../test/fixtures/remote-image.ts"
import { parseReference } from "../../oci/reference.ts"
import { openRegistries } from "../../registry-client/registry-client.ts"
import type { BuildRequest, BuiltImage, ExportOptions } from "../build.ts"
import { plainBuild } from "../testing/plain-build.ts"

let servers: TestRegistries
let store: ImageStore
const registries = openRegistries({
  mirrors: [],
  insecure: [],
  certificates: [],
  agent: "test",
  timing: { firstPause: 1, attempts: 2 },
})
beforeAll(async () => {
  servers = await startRegistries(1)
})
beforeEach(async () => {
  store = await openImageStore({ registries })
})
afterEach(() => store.close())
afterAll(() => servers.close())

const tars = await Promise.all(["one", "two"].map((text) => layerTar(text, randomBytes(100_000))))
const riscv = { os: "linux", architecture: "riscv64", variant: "" }
const nameOf = (path: string) => `${servers.domain(0)}/${path}`

const push = async (
  images: readonly BuiltImage[],
  attributes: Readonly<Record<string, string>>,
  rest: Partial<ExportOptions> & { request?: BuildRequest; type?: string } = {},
) => {
  const { type = "registry", ...options } = rest
  const exported = await runExport(store, images, [exportRequest(type, attributes)], options)
  return { ...exported, response: Object.fromEntries(exported.response) }
}
const remoteJson = async (path: string, reference: string) => {
  const { bytes } = await servers.repository(0, path).document(reference)
  return JSON.parse(Buffer.from(bytes).toString())
}

test("what is pushed can be pulled, and comes back the same", async () => {
  const image = await buildImage(store, tars)
  const { response, imageId, events } = await push([image], { name: `${nameOf("app:1")},${nameOf("app:2")}` })
  expect(imageId).toBeUndefined()
  await store.images.pull({ reference: nameOf("app:2") }, () => {})
  const pulled = await store.images.get(nameOf("app:2"))
  expect(pulled.id).toBe(response["containerimage.config.digest"] ?? "")
  expect(pulled.manifestDigest).toBe(response["containerimage.digest"] ?? "")
  expect(pulled.chainId).toBe(image.chainId)
  const told = events.flatMap((event) => (event.type === "status" ? [event.id] : []))
  expect(told).toContain("pushing layers")
  expect(told).toContain(`pushing manifest for ${nameOf("app:1")}@${pulled.manifestDigest}`)
})

test("type=image with push=true is stored and pushed under the same id", async () => {
  const image = await buildImage(store, tars)
  const name = nameOf("both:1")
  const { response, imageId } = await push([image], { name, push: "true" }, { type: "image" })
  expect((await store.images.get(name)).id).toBe(imageId ?? "")
  expect(response["containerimage.config.digest"]).toBe(imageId)
  const unstored = await push(
    [image],
    { name: nameOf("both:2"), push: "true", store: "false" },
    { type: "image" },
  )
  expect(unstored.imageId).toBeUndefined()
  expect(await store.images.find(nameOf("both:2"))).toBeUndefined()
})

test("several platforms become an index, and each is pulled by its platform", async () => {
  const images = [await buildImage(store, tars), await buildImage(store, tars.slice(1), { platform: riscv })]
  const { response } = await push(images, { name: nameOf("multi"), push: "true" }, { type: "image" })
  const index = await remoteJson("multi", "latest")
  expect(index.mediaType).toBe("application/vnd.docker.distribution.manifest.list.v2+json")
  expect(index.manifests).toHaveLength(2)
  expect(response["containerimage.config.digest"]).toBeUndefined()
  await store.images.pull({ reference: nameOf("multi"), platform: "linux/riscv64" }, () => {})
  expect(Object.keys(await filesOf(store, nameOf("multi")))).toEqual(["two"])
})

test("by digest no tag is made", async () => {
  const image = await buildImage(store, tars)
  const { response } = await push([image], { name: nameOf("loose"), "push-by-digest": "true" })
  const remote = servers.repository(0, "loose")
  const digest = response["containerimage.digest"] ?? ""
  expect((await remote.document(digest)).digest).toBe(digest)
  await expect(remote.document("latest")).rejects.toMatchObject({ kind: "not-found" })
  await expect(push([image], { name: nameOf("loose:1"), "push-by-digest": "true" })).rejects.toThrow(
    "can't push tagged ref",
  )
})

test("provenance goes along as an attestation, without secrets", async () => {
  const image = {
    ...(await buildImage(store, tars)),
    materials: [
      { uri: "pkg:docker/alpine@3?platform=linux%2Famd64", digest: `sha256:${"a".repeat(64)}` },
      { uri: "https://me:hidden@host.test/x.git#main", digest: `sha1:${"b".repeat(40)}` },
    ],
  }
  const request = plainBuild({
    buildArgs: new Map([["VERSION", "7"]]),
    context: { type: "remote", url: "https://me:hidden@host.test/x.git#main" },
    secrets: async () => Buffer.from("hidden"),
  })
  for (const version of ["v0.2", "v1"]) {
    const provenance = new Map(Object.entries({ mode: "max", version, "builder-id": "me" }))
    const attestations = new Map([["provenance", provenance]])
    await push([image], { name: nameOf("proven") }, { attestations, request })
    const index = await remoteJson("proven", "latest")
    const [own, proof] = index.manifests
    expect(proof.platform).toEqual({ architecture: "unknown", os: "unknown" })
    expect(proof.annotations).toEqual({
      "vnd.docker.reference.digest": own.digest,
      "vnd.docker.reference.type": "attestation-manifest",
    })
    const { layers } = await remoteJson("proven", proof.digest)
    expect(layers[0].annotations["in-toto.io/predicate-type"]).toBe(`https://slsa.dev/provenance/${version}`)
    let text = ""
    for await (const chunk of servers.repository(0, "proven").blob(layers[0], 0)) text += Buffer.from(chunk)
    expect(text).not.toContain("hidden")
    const { predicate, subject } = JSON.parse(text)
    expect(subject[0].digest.sha256).toBe(own.digest.slice(7))
    const args = (predicate.invocation?.parameters ?? predicate.buildDefinition.externalParameters.request)
      .args
    expect(args["build-arg:VERSION"]).toBe("7")
    const materials = predicate.materials ?? predicate.buildDefinition.resolvedDependencies
    expect(materials[1].digest).toEqual({ sha1: "b".repeat(40) })
  }
  // An image that has one is still an image.
  await store.images.pull({ reference: nameOf("proven") }, () => {})
})

test("an SBOM is refused with a sentence", async () => {
  const image = await buildImage(store, tars)
  const attestations = new Map([["sbom", new Map<string, string>()]])
  await expect(push([image], { name: nameOf("a") }, { attestations })).rejects.toThrow(
    "this engine makes no SBOM",
  )
})

test("layers of a base image keep the bytes that registries know", async () => {
  const base = makeImage({ layers: tars.slice(0, 1), form: "docker" })
  await putImage(`http://${servers.domain(0)}`, "base", base, "1")
  const keeping = await openImageStore({ registries, keepCompressed: true })
  try {
    await keeping.images.pull({ reference: nameOf("base:1") }, () => {})
    const { layers } = await keeping.images.get(nameOf("base:1"))
    const built = await buildImage(keeping, tars)
    const image = { ...built, layers: [...layers, ...built.layers.slice(1)], baseLayers: 1 }
    await runExport(keeping, [image], [exportRequest("registry", { name: nameOf("derived") })])
    expect((await remoteJson("derived", "latest")).layers[0].digest).toBe(base.layers[0])
  } finally {
    await keeping.close()
  }
})

test("layers whose compressed bytes were given up travel as the registries have them", async () => {
  const base = makeImage({ layers: tars.slice(0, 1) })
  await putImage(`http://${servers.domain(0)}`, "given-up", base, "1")
  const erofs = await openImageStore({ registries, form: "erofs" })
  try {
    await erofs.images.pull({ reference: nameOf("given-up:1") }, () => {})
    expect(erofs.content.has(base.layers[0] ?? "")).toBe(false)
    const { layers } = await erofs.images.get(nameOf("given-up:1"))
    const built = await buildImage(erofs, tars)
    const image = { ...built, layers: [...layers, ...built.layers.slice(1)], baseLayers: 1 }
    await runExport(erofs, [image], [exportRequest("registry", { name: nameOf("onward") })])
    const { layers: pushed } = await remoteJson("onward", "latest")
    expect(pushed[0].digest).toBe(base.layers[0])
    expect(pushed[0].size).toBe(base.blobs.get(base.layers[0] ?? "")?.length)
    await store.images.pull({ reference: nameOf("onward") }, () => {})
    const forced = { name: nameOf("forced"), compression: "zstd", "force-compression": "true" }
    await runExport(erofs, [image], [exportRequest("registry", forced)])
    expect((await remoteJson("forced", "latest")).layers[0].mediaType).toEndWith("zstd")
  } finally {
    await erofs.close()
  }
})

test.each(["overlay", "erofs"] as const)("what was pushed is not compressed again (%s)", async (form) => {
  const again = await openImageStore({ registries, form })
  try {
    const image = await buildImage(again, tars)
    const attributes = { name: nameOf(`again-${form}`), push: "true" }
    await runExport(again, [image], [exportRequest("image", attributes)])
    const blobs = async () => (await again.inventory()).filter((line) => line.startsWith("blob"))
    const before = await blobs()
    let ingested = 0
    const { ingest } = again.content
    again.content.ingest = (...given) => {
      ingested++
      return ingest(...given)
    }
    const { events } = await runExport(again, [image], [exportRequest("registry", { ...attributes })])
    expect(ingested).toBe(0)
    const told = events.flatMap((event) => (event.type === "status" ? [event.id] : []))
    expect(told.filter((id) => id.startsWith("pushing sha256:"))).toEqual([])
    expect(await blobs()).toEqual(before)
    again.content.ingest = ingest
    const [digest] = await again.images.push({ reference: attributes.name }, () => {})
    const pushed = await remoteJson(`again-${form}`, digest ?? "")
    const own = await runExport(again, [image], [exportRequest("registry", { name: nameOf("own") })])
    const { layers } = await remoteJson("own", own.response.get("containerimage.digest") ?? "")
    const digests = (list: { digest: string }[]) => list.map((layer) => layer.digest)
    expect(digests(pushed.layers)).toEqual(digests(layers))
  } finally {
    await again.close()
  }
})

test("names that cannot be pushed, and registries that are not there", async () => {
  const image = await buildImage(store, tars)
  await expect(push([image], {})).rejects.toThrow("tag is needed when pushing to registry")
  await expect(push([image], { name: "127.0.0.1:1/x" })).rejects.toThrow(
    /^failed to push 127\.0\.0\.1:1\/x:latest: /,
  )
})

test.skipIf(!hasDockerRegistry())(
  "a real registry with an account takes it",
  async () => {
    const account = { username: "me", password: "secret" }
    const registry = await startRegistry({ account, tls: true })
    try {
      const image = await buildImage(store, tars)
      const name = `${registry.host}/team/app:1`
      const asked: string[] = []
      const credentials: ExportOptions["credentials"] = async (domain) => {
        asked.push(domain)
        return { ...account, identityToken: "", registryToken: "" }
      }
      const attributes = { name, "registry.insecure": "true", compression: "zstd" }
      const attestations = new Map([["provenance", new Map([["mode", "min"]])]])
      const { response } = await push([image], attributes, { credentials, attestations })
      expect(asked).toEqual([parseReference(name).domain])
      const answer = await fetch(`${registry.origin}/v2/team/app/manifests/1`, {
        tls: { rejectUnauthorized: false },
        headers: {
          Authorization: `Basic ${Buffer.from("me:secret").toString("base64")}`,
          Accept: "application/vnd.oci.image.index.v1+json",
        },
      })
      expect(answer.headers.get("docker-content-digest")).toBe(response["containerimage.digest"] ?? "")
      await expect(push([image], attributes)).rejects.toThrow(/^failed to push .*: unauthorized/)
    } finally {
      await registry.close()
    }
  },
  20_000,
)
