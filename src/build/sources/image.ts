// Base images: their configs without their layers, and their layers when a step needs them.
import { createHash } from "node:crypto"
import { errorKind, errorMessage, failure } from "../../base/errors.ts"
import { type Image, resolveManifest } from "../../images/images.ts"
import { chainIds } from "../../oci/chain-id.ts"
import { type ConfigDocument, parseConfigDocument } from "../../oci/config.ts"
import type { Descriptor } from "../../oci/descriptor.ts"
import {
  formatPlatform,
  hostPlatform,
  normalisePlatform,
  type Platform,
  platformScore,
} from "../../oci/platform.ts"
import { formatReference, parseReference, type Reference, withDefaultTag } from "../../oci/reference.ts"
import type { RemoteRepository } from "../../registry-client/registry-client.ts"
import type { BuildRequest } from "../build.ts"
import { BuildFailure } from "../failure.ts"
import type { ImageNode, ResolvedImage } from "../graph/graph.ts"
import type { LayersTree, StepRun } from "../operations/operations.ts"
import type { ReportBuild } from "../progress.ts"
import type { BuildRooms } from "../rooms.ts"
import { asVertex } from "./metadata.ts"

type Rooms = Pick<BuildRooms, "images">

const largestConfig = 4 << 20

/** Configs by digest: what was read once need not be asked for again. */
const known = new Map<string, ConfigDocument>()
const mostKnown = 128

const readConfig = async (
  remote: RemoteRepository,
  descriptor: Descriptor,
  name: string,
  signal: AbortSignal,
): Promise<ConfigDocument> => {
  const before = known.get(descriptor.digest)
  if (before !== undefined) return before
  if (descriptor.size > largestConfig)
    throw failure("invalid", `its config has ${descriptor.size} bytes; at most ${largestConfig} are accepted`)
  const chunks: Uint8Array[] = []
  for await (const chunk of remote.blob(descriptor, 0, signal)) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  if (`sha256:${createHash("sha256").update(bytes).digest("hex")}` !== descriptor.digest)
    throw failure("invalid", `its config is not what its digest ${descriptor.digest} says`)
  const config = parseConfigDocument(bytes, `the config of ${name}`)
  if (known.size >= mostKnown) known.delete(known.keys().next().value ?? "")
  known.set(descriptor.digest, config)
  return config
}

const fits = (image: Image, platform: Platform): boolean =>
  platformScore(platform, normalisePlatform({ ...image, os: image.os || "linux" })) > 0

const localImage = (image: Image): ResolvedImage => ({ digest: image.id, config: image, imageId: image.id })

/** By name, or by an id as the classic builder takes it. Never by a word that only happens to begin an id. */
const findLocal = async (
  { images }: Rooms,
  reference: Reference,
  text: string,
): Promise<Image | undefined> => {
  const { domain, path, digest } = reference
  const name =
    digest === undefined
      ? formatReference(withDefaultTag(reference))
      : formatReference({ domain, path, digest })
  const byName = await images.find(name)
  if (byName !== undefined) return byName
  return /^sha256:[0-9a-f]{64}$|^[0-9a-f]{12,64}$/.test(text) ? images.find(text) : undefined
}

/** Why it cannot be had, in BuildKit's words; the classic builder says what a pull says. */
const unresolved = (full: string, face: BuildRequest["face"], error: unknown): BuildFailure => {
  const kind = errorKind(error)
  let reason = errorMessage(error)
  if (face === "classic") return new BuildFailure(kind, reason, {}, { cause: error })
  if (kind === "not-found")
    reason = `${full}: ${/^no matching manifest/.test(reason) ? "no match for platform in manifest: " : ""}not found`
  else if (kind === "unauthorized" || kind === "forbidden")
    reason = `pull access denied, repository does not exist or may require authorization: ${reason}`
  else if (kind === "unavailable") reason = `failed to do request: ${reason}`
  return new BuildFailure(
    kind,
    `failed to resolve source metadata for ${full}: ${reason}`,
    {},
    { cause: error },
  )
}

const resolveRemote = async (
  rooms: Rooms,
  reference: Reference,
  platform: Platform,
  request: BuildRequest,
  signal: AbortSignal,
): Promise<ResolvedImage> => {
  const full = formatReference(reference)
  try {
    const credentials = await request.credentials(reference.domain, signal)
    const remote = rooms.images.registries.repository(reference, { actions: "pull", credentials })
    const resolved = await resolveManifest(remote, reference, platform, signal)
    const { config: descriptor } = resolved.manifest
    const config = await readConfig(remote, descriptor, full, signal)
    if (config.diffIds.length !== resolved.manifest.layers.length)
      throw failure("invalid", "its manifest and its config do not tell of the same layers")
    const here = await rooms.images.find(descriptor.digest)
    const manifest = resolved.document.digest
    return { digest: resolved.digest, config, imageId: here?.id ?? "", manifest }
  } catch (error) {
    if (signal.aborted) throw failure("cancelled", "context canceled", { cause: error })
    throw unresolved(full, request.face, error)
  }
}

/** Local unless `pull` is asked for, it is not here, or it is here for another platform. */
export const resolveImage = async (
  rooms: Rooms,
  text: string,
  platform: Platform,
  request: BuildRequest,
  report: ReportBuild,
  signal: AbortSignal,
): Promise<ResolvedImage> => {
  const reference = withDefaultTag(parseReference(text))
  const several = request.platforms.length > 1 ? `${formatPlatform(platform)} ` : ""
  const name = `[${several}internal] load metadata for ${formatReference(reference)}`
  return asVertex(name, report, async () => {
    const local = request.pull ? undefined : await findLocal(rooms, reference, text)
    if (local !== undefined && fits(local, platform)) return localImage(local)
    return resolveRemote(rooms, reference, platform, request, signal)
  })
}

const treeOf = (image: Image): LayersTree => ({
  kind: "layers",
  chainId: image.chainId,
  layers: image.layers,
})

/** Tells of layers as they come. */
const teller = (
  run: StepRun,
): ((progress: {
  id?: string
  status: string
  current?: number
  total?: number
  layer?: boolean
}) => void) => {
  const began = new Map<string, number>()
  return ({ id, status, current, total, layer }) => {
    if (layer !== true || id === undefined || (current === undefined && status !== "Pull complete")) return
    const shown = status === "Extracting" ? `extracting ${id}` : id
    const at = Date.now()
    const startedAt = began.get(shown) ?? at
    began.set(shown, startedAt)
    const isComplete = status === "Pull complete"
    run.report({
      type: "status",
      vertex: run.vertex,
      id: shown,
      current: current ?? 0,
      total: total ?? 0,
      at,
      startedAt,
      ...(isComplete ? { completedAt: at } : {}),
    })
  }
}

/** What is pulled for this machine keeps its name where nobody else has it; for another platform only its digest names it. */
const isForHost = (platform: Platform): boolean =>
  formatPlatform(normalisePlatform(platform)) === formatPlatform(hostPlatform())

const pull = async (rooms: Rooms, node: ImageNode, run: StepRun): Promise<Image> => {
  const { images } = rooms
  const reference = withDefaultTag(parseReference(node.reference))
  const { domain, path } = reference
  const { digest, manifest = digest } = node.resolved
  const isOurs = isForHost(node.platform)
  const pinned = formatReference({ domain, path, digest: isOurs ? digest : manifest })
  const credentials = await run.request.credentials(domain, run.signal)
  const platform = formatPlatform(node.platform)
  run.hold.keep(chainIds(node.resolved.config.diffIds))
  const ids = await images.pull({ reference: pinned, platform, credentials }, teller(run), run.signal)
  const image = await images.get(ids[0] ?? pinned)
  if (isOurs && reference.tag !== undefined && reference.digest === undefined) {
    const name = formatReference(reference)
    // The classic builder's --pull is a pull like any other.
    const isPull = run.request.pull && run.request.face === "classic"
    if (isPull || (await images.find(name)) === undefined) await images.tag(image.id, name)
  }
  return image
}

/** The layers of a resolved image; it is pulled by its digest when it is not here. */
export const imageTree = async (rooms: Rooms, node: ImageNode, run: StepRun): Promise<LayersTree> => {
  const { images } = rooms
  const { imageId, config } = node.resolved
  run.hold.keep(chainIds(config.diffIds))
  // It may have been removed since it was resolved.
  const here = imageId === "" ? undefined : await images.find(imageId)
  if (here !== undefined) return treeOf(here)
  if (imageId !== "" && node.resolved.manifest === undefined)
    throw new BuildFailure(
      "not-found",
      `the image ${node.reference} was removed while it was built upon; build again`,
      {},
    )
  try {
    return treeOf(await pull(rooms, node, run))
  } catch (error) {
    if (run.signal.aborted) throw failure("cancelled", "context canceled", { cause: error })
    throw error
  }
}
