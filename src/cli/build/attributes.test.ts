// The values of build's flags, as buildx reads them.
import { expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { annotationAttributes, readAttestations, readCache, readOutput } from "./attributes.ts"

test("outputs", () => {
  const local = { Type: "local", Attributes: {}, destination: resolve("out"), tree: true }
  expect(readOutput("out")).toEqual(local)
  expect(readOutput("type=local,dest=out")).toEqual(local)
  expect(readOutput("-")).toEqual({ Type: "tar", Attributes: {}, destination: "-", tree: false })
  expect(readOutput("type=docker")).toEqual({ Type: "image", Attributes: {}, tree: false })
  expect(readOutput("type=oci,dest=/x,tar=false")).toMatchObject({ destination: "/x", tree: true })
  expect(readOutput("type=oci")).toMatchObject({ destination: "-", tree: false })
  expect(readOutput('type=image,"name=a,b",push=true')).toEqual({
    Type: "image",
    Attributes: { name: "a,b", push: "true" },
    tree: false,
  })
  for (const wrong of ["type=local", "type=local,dest=-", "type=zip,dest=x", "dest=x", "type=tar,x"])
    expect(() => readOutput(wrong)).toThrow()
})

test("caches: a registry's by its name, directories made absolute, the manifest that a local one's index names", () => {
  expect(readCache("u/app:cache", "cache-to")).toEqual({
    Type: "registry",
    Attributes: { ref: "u/app:cache" },
  })
  expect(readCache("type=inline", "cache-to")).toEqual({ Type: "inline", Attributes: {} })
  expect(readCache("type=local,dest=c,mode=max", "cache-to").Attributes).toEqual({
    dest: resolve("c"),
    mode: "max",
  })
  const directory = mkdtempSync(join(tmpdir(), "sloop-cache-"))
  const digest = `sha256:${"a".repeat(64)}`
  const named = { digest, annotations: { "org.opencontainers.image.ref.name": "latest" } }
  writeFileSync(join(directory, "index.json"), JSON.stringify({ manifests: [named] }))
  expect(readCache(`type=local,src=${directory}`, "cache-from").Attributes).toEqual({
    src: directory,
    digest,
  })
  expect(readCache(`type=local,src=${directory},tag=none`, "cache-from").Attributes.digest).toBeUndefined()
  rmSync(directory, { recursive: true })
  for (const wrong of ["type=local", "ref=x", "type=local,dest=x"])
    expect(() => readCache(wrong, "cache-from")).toThrow()
})

test("attestations: the shorthands count last, disabled ones vanish", () => {
  const none = { provenance: undefined, sbom: undefined }
  expect(readAttestations(["type=sbom,generator=g", "type=provenance,mode=max"], none)).toEqual({
    sbom: { generator: "g" },
    provenance: { mode: "max" },
  })
  expect(readAttestations(["type=provenance,mode=max"], { ...none, provenance: "false" })).toEqual({})
  expect(readAttestations([], { provenance: "mode=min", sbom: "true" })).toEqual({
    provenance: { mode: "min" },
    sbom: {},
  })
  expect(readAttestations(["type=sbom,disabled=true"], none)).toEqual({})
  expect(() => readAttestations(["mode=max"], none)).toThrow("type not specified")
})

test("annotations go where their prefix says", () => {
  expect(
    annotationAttributes(["k=v=w", "index:i=1", "manifest,index:both=2", "manifest[linux/amd64]:one=3"]),
  ).toEqual({
    "annotation.k": "v=w",
    "annotation-index.i": "1",
    "annotation.both": "2",
    "annotation-index.both": "2",
    "annotation[linux/amd64].one": "3",
  })
  expect(() => annotationAttributes(["nothing"])).toThrow("write it as")
})
