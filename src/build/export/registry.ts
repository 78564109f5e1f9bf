// Pushes what a build made: blobs that the registry has not, then manifests, then what a tag leads to.
import { errorKind, errorMessage, failure } from "../../base/errors.ts"
import { Limiter } from "../../base/limiter.ts"
import { formatReference, parseReference, type Reference, withDefaultTag } from "../../oci/reference.ts"
import type { RemoteRepository } from "../../registry-client/registry-client.ts"
import { type Assembled, assemble, responseOf } from "./assemble.ts"
import { flag } from "./attributes.ts"
import type { FindLayer, OutgoingBlob } from "./outgoing-layers.ts"
import { registriesFor } from "./registries.ts"
import { remoteLayer } from "./remote-layers.ts"
import type { Stages } from "./stages.ts"
import type { Exported, ExportRooms, ExportWork } from "./work.ts"

/** Blobs sent at once. */
const uploadsAtOnce = 4
/** Repositories that a blob is tried to be mounted from. */
const mostMounts = 3

/** Paths of the same registry that have a blob, as far as names here tell. */
const mountSources = (rooms: ExportRooms, target: Reference, digest: string): string[] => {
  const holders = new Set(
    rooms.state.images
      .list()
      .filter(({ layers }) => layers.some(({ blob }) => blob === digest))
      .map(({ id }) => id),
  )
  const paths = rooms.state.references
    .entries()
    .filter(([, id]) => holders.has(id))
    .map(([text]) => parseReference(text))
    .filter((name) => name.digest !== undefined && name.domain === target.domain && name.path !== target.path)
    .map(({ path }) => path)
  return [...new Set(paths)].slice(0, mostMounts)
}

/** Sends one blob unless it is there. */
export const sendBlob = async (
  rooms: ExportRooms,
  remote: RemoteRepository,
  target: Reference,
  blob: OutgoingBlob,
  stages: Stages,
  signal: AbortSignal,
): Promise<void> => {
  if (await remote.hasBlob(blob.digest, signal)) return
  await stages.step(`pushing ${blob.digest}`, async (tell) => {
    await remote.putBlob(blob, {
      from: mountSources(rooms, target, blob.digest),
      progress: (bytes) => tell(bytes, blob.size),
      signal,
    })
  })
}

/** All of them; the first failure stops the others. */
export const sendBlobs = async (
  blobs: Iterable<OutgoingBlob>,
  send: (blob: OutgoingBlob, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> => {
  const stopping = new AbortController()
  const either = AbortSignal.any([signal, stopping.signal])
  const limit = new Limiter(uploadsAtOnce)
  const unique = new Map([...blobs].map((blob) => [blob.digest, blob]))
  const sent = [...unique.values()].map((blob) =>
    limit.run(async () => {
      either.throwIfAborted()
      try {
        await send(blob, either)
      } catch (error) {
        stopping.abort(error)
        throw error
      }
    }),
  )
  const ended = await Promise.allSettled(sent)
  signal.throwIfAborted()
  if (ended.some(({ status }) => status === "rejected")) throw stopping.signal.reason
}

const pushTo = async (
  work: ExportWork,
  assembled: Assembled,
  target: Reference,
  byDigest: boolean,
): Promise<void> => {
  const { rooms, stages, signal, attributes } = work
  const registries = registriesFor(rooms, target.domain, flag(attributes, "registry.insecure", false))
  const credentials = await work.options.credentials(target.domain, signal)
  const remote = registries.repository(target, { actions: "pull,push", credentials })
  await stages.step("pushing layers", () =>
    sendBlobs(
      assembled.documents.flatMap(({ blobs }) => blobs),
      (blob, stopped) => sendBlob(rooms, remote, target, blob, stages, stopped),
      signal,
    ),
  )
  const { root } = assembled
  await stages.step(`pushing manifest for ${formatReference(target)}@${root.digest}`, async () => {
    for (const { digest, bytes, mediaType } of assembled.documents) {
      const tag = digest === root.digest && !byDigest ? target.tag : undefined
      await remote.putDocument(tag ?? digest, { bytes, mediaType }, signal)
    }
  })
}

/** Names as they are pushed: with a tag, or without one by digest. */
const targetsOf = (work: ExportWork, byDigest: boolean): Reference[] => {
  const given = (work.attributes.get("name") ?? "").split(",").filter((name) => name !== "")
  if (given.length === 0)
    throw failure("invalid", "tag is needed when pushing to registry: name the image with --tag or name=NAME")
  return given.map((text) => {
    const name = parseReference(text)
    if (name.digest !== undefined)
      throw failure("invalid", `cannot push to "${text}": a digest is decided by the bytes`)
    if (byDigest && name.tag !== undefined)
      throw failure("invalid", `can't push tagged ref ${text} by digest: leave the tag out`)
    return byDigest ? name : withDefaultTag(name)
  })
}

/** What is to be pushed, and where. */
export interface Shipment {
  readonly assembled: Assembled
  readonly targets: readonly Reference[]
  readonly byDigest: boolean
}

/** Throws "invalid" for names that cannot be pushed to; nothing is sent yet. */
export const prepareShipment = async (work: ExportWork): Promise<Shipment> => {
  const byDigest = flag(work.attributes, "push-by-digest", false)
  const targets = targetsOf(work, byDigest)
  const find: FindLayer = (placed, oci) => remoteLayer(work, placed, oci, targets)
  return { assembled: await assemble(work, false, find), targets, byDigest }
}

/** Documents and blobs under all names of the export. */
export const ship = async (
  work: ExportWork,
  { assembled, targets, byDigest }: Shipment,
): Promise<Exported> => {
  for (const target of targets) {
    const name = formatReference(target)
    try {
      await pushTo(work, assembled, target, byDigest)
    } catch (error) {
      work.signal.throwIfAborted()
      throw failure(errorKind(error), `failed to push ${name}: ${errorMessage(error)}`, { cause: error })
    }
  }
  return { response: responseOf(assembled, targets.map(formatReference)) }
}
