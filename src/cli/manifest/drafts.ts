// Manifest lists that are being put together, one file each beside config.json, until they are pushed.
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { failure } from "../../base/errors.ts"
import { isJsonObject, type JsonObject, parseJsonObject } from "../../base/json-bounded.ts"
import { type Descriptor, parseDescriptor } from "../../oci/descriptor.ts"
import type { Platform } from "../../oci/platform.ts"
import { formatReference, type Reference } from "../../oci/reference.ts"
import { configDirectory } from "../credentials.ts"
import type { Context } from "../verb.ts"

type Environment = Context["env"]

/** A manifest of the list: where it lies, and how the list is to describe it. */
export interface DraftEntry {
  /** "docker.io/library/app:arm" */
  readonly reference: string
  readonly descriptor: Descriptor
  readonly osVersion?: string
  readonly osFeatures?: readonly string[]
}

export interface Draft {
  readonly entries: readonly DraftEntry[]
}

const pathOf = (env: Environment, list: Reference): string =>
  join(configDirectory(env), "sloop-manifests", `${encodeURIComponent(formatReference(list))}.json`)

const spelled = ({ os, architecture, variant }: JsonObject): Platform => ({
  os: String(os ?? ""),
  architecture: String(architecture ?? ""),
  variant: String(variant ?? ""),
})

const readEntry = (value: unknown, path: string): DraftEntry => {
  if (!isJsonObject(value) || typeof value.reference !== "string")
    throw failure("invalid", `${path} is not a manifest list that sloop has written: remove it`)
  const { osVersion, osFeatures } = value
  const descriptor = parseDescriptor(value.descriptor, `a manifest in ${path}`)
  const said = isJsonObject(value.descriptor) ? value.descriptor.platform : undefined
  return {
    reference: value.reference,
    // The platform as it was annotated: reading a descriptor makes one spelling of it.
    descriptor: isJsonObject(said) ? { ...descriptor, platform: spelled(said) } : descriptor,
    ...(typeof osVersion === "string" ? { osVersion } : {}),
    ...(Array.isArray(osFeatures) ? { osFeatures: osFeatures.map(String) } : {}),
  }
}

/** undefined when there is none. */
export const findDraft = (env: Environment, list: Reference): Draft | undefined => {
  const path = pathOf(env, list)
  let bytes: Uint8Array
  try {
    bytes = readFileSync(path)
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined
    throw error
  }
  const { entries } = parseJsonObject(bytes, path)
  if (!Array.isArray(entries)) throw failure("invalid", `${path} holds no list of manifests: remove it`)
  return { entries: entries.map((entry) => readEntry(entry, path)) }
}

export const getDraft = (env: Environment, list: Reference): Draft => {
  const draft = findDraft(env, list)
  if (draft === undefined) throw failure("not-found", `No such manifest: ${formatReference(list)}`)
  return draft
}

export const keepDraft = (env: Environment, list: Reference, draft: Draft): void => {
  const path = pathOf(env, list)
  mkdirSync(join(path, ".."), { recursive: true, mode: 0o700 })
  const temporary = `${path}.${process.pid}`
  writeFileSync(temporary, JSON.stringify(draft), { mode: 0o600 })
  renameSync(temporary, path)
}

/** Throws not-found. */
export const removeDraft = (env: Environment, list: Reference): void => {
  getDraft(env, list)
  rmSync(pathOf(env, list))
}

/** How an index describes a manifest. */
export const indexEntry = ({ descriptor, osVersion, osFeatures }: DraftEntry): object => {
  const { mediaType, digest, size, platform } = descriptor
  return {
    mediaType,
    size,
    digest,
    ...(platform === undefined ? {} : { platform: platformEntry(platform, osVersion, osFeatures) }),
  }
}

const platformEntry = (
  { os, architecture, variant }: Platform,
  osVersion: string | undefined,
  osFeatures: readonly string[] | undefined,
): object => ({
  architecture,
  os,
  ...(osVersion === undefined ? {} : { "os.version": osVersion }),
  ...(osFeatures === undefined ? {} : { "os.features": osFeatures }),
  ...(variant === "" ? {} : { variant }),
})
