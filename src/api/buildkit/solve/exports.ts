// Where a client wants a build's result: exporters and caches between the wire and the builder, through the client's session.
import { failure } from "../../../base/errors.ts"
import { readTar } from "../../../base/tar-reader.ts"
import type { CacheLocation, ExportRequest } from "../../../build/build.ts"
import type { SolveRequest } from "../../../wire/buildkit/control.ts"
import type { Decoded } from "../../../wire/buildkit/protobuf.ts"
import { sendFile, sendTree } from "../session/file-send.ts"
import { reached, sessionDirectory } from "../session/layouts.ts"
import type { Session } from "../session/sessions.ts"

type Request = Pick<
  Decoded<typeof SolveRequest>,
  "exporters" | "exporterDeprecated" | "exporterAttributesDeprecated" | "cache"
>

/** Exporters by their older and newer fields, in the client's order. */
export function exportsOf(
  request: Request,
  session: Session | undefined,
  signal: AbortSignal,
): ExportRequest[] {
  const { exporters, exporterDeprecated: type, exporterAttributesDeprecated: attributes } = request
  const given = exporters.length > 0 || type === "" ? exporters : [{ type, attributes }]
  return given.map((exporter, index) => exportOf(exporter, index, session, signal))
}

function exportOf(
  { type, attributes }: Request["exporters"][number],
  index: number,
  session: Session | undefined,
  signal: AbortSignal,
): ExportRequest {
  const client = (): Session => {
    if (session === undefined) throw failure("invalid", `the exporter ${type} needs the client's session`)
    return session
  }
  switch (type) {
    // The docker driver's name for images of the local store.
    case "moby":
    case "image":
      return { type: "image", attributes }
    case "local":
      return { type, attributes, writeTree: (tar) => sendTree(client(), index, tar, signal) }
    case "oci":
    case "docker":
    case "tar":
      // Without a tar, the client offers its directory as a store of blobs, and writes index.json itself.
      if (type !== "tar" && attributes.get("tar") === "false")
        return { type, attributes, writeTree: (tar) => writeBlobs(client(), tar, signal) }
      return {
        type,
        attributes,
        write: (bytes) => sendFile(client(), index, bytes, new Map(), signal),
      }
    default:
      throw failure("invalid", `exporter ${JSON.stringify(type)} could not be found`)
  }
}

/** Writes the blobs of a layout that comes as a tar into the client's store for exports. */
async function writeBlobs(
  session: Session,
  tar: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const store = sessionDirectory(session, "export")
  for await (const { name, type, size, body } of readTar(tar)) {
    const [, hex] = /^(?:\.\/)?blobs\/sha256\/([0-9a-f]{64})$/.exec(name) ?? []
    if (type !== "file" || hex === undefined) continue
    const digest = `sha256:${hex}`
    if (!(await store.has(digest))) await store.write({ digest, size, mediaType: "" }, body, signal)
  }
}

/** Caches to be written, by their older and newer fields. */
export function cacheExportsOf({ cache }: Request, session: Session | undefined): CacheLocation[] {
  if (cache === undefined) return []
  const { exportRefDeprecated: ref, exportAttributesDeprecated, exports } = cache
  const old =
    ref === ""
      ? []
      : [{ type: "registry", attributes: new Map([...exportAttributesDeprecated, ["ref", ref]]) }]
  return [...old, ...exports].map((entry) => reached(entry, "dest", session))
}
