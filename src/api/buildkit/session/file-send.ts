// What a client takes from a build over its session: one file as it comes, or a tree entry by entry.
import { failure } from "../../../base/errors.ts"
import type { TarType } from "../../../base/tar-header.ts"
import { readTar, type TarEntry } from "../../../base/tar-reader.ts"
import { BytesMessage } from "../../../wire/buildkit/control.ts"
import type { Decoded } from "../../../wire/buildkit/protobuf.ts"
import { PACKET, Packet } from "../../../wire/buildkit/session.ts"
import type { ClientCall } from "../grpc/client.ts"
import { CODE, GrpcFailure } from "../grpc/status.ts"
import { goMode } from "./file-mode.ts"
import { headerValues } from "./header-values.ts"
import type { Session } from "./sessions.ts"

const METHOD = "/moby.filesync.v1.FileSend/DiffCopy"
/** Metadata that says which of the client's outputs is meant: its place among those of the request. */
const EXPORTER = "buildkit-attachable-exporter-id"
/** Bytes in one message: clients take four megabytes at most. */
const PIECE = 1 << 20

const options = (session: Session, index: number, signal: AbortSignal) => {
  if (!session.supports(METHOD)) throw failure("invalid", `method ${METHOD} not supported by the client`)
  return { [EXPORTER]: String(index), signal: AbortSignal.any([signal, session.connection.gone]) }
}

/** Sends a file; `facts` are what the exporter tells of it. */
export async function sendFile(
  session: Session,
  index: number,
  bytes: AsyncIterable<Uint8Array>,
  facts: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<void> {
  const { signal: ending, ...metadata } = options(session, index, signal)
  const told = [...facts].map(([key, value]) => headerValues(`exporter-md-${key.toLowerCase()}`, [value]))
  const call = session.connection.call(METHOD, BytesMessage, BytesMessage, {
    metadata: Object.assign({}, metadata, ...told),
    signal: ending,
  })
  try {
    for await (const chunk of bytes)
      for (let at = 0; at < chunk.length; at += PIECE)
        await call.send({ data: chunk.subarray(at, at + PIECE) })
    call.end()
    while ((await call.receive()) !== undefined);
  } catch (error) {
    throw await cause(call, error)
  } finally {
    call.cancel()
  }
}

type PacketCall = ClientCall<Decoded<typeof Packet>, Decoded<typeof Packet>>

/** Sends a tree that comes as a tar in the order of `ExportRequest.writeTree`. */
export async function sendTree(
  session: Session,
  index: number,
  tar: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const { signal: ending, ...metadata } = options(session, index, signal)
  const call = session.connection.call(METHOD, Packet, Packet, { metadata, signal: ending })
  try {
    let id = 0
    for await (const entry of readTar(tar)) {
      const stat = statOf(entry)
      if (stat === undefined) continue
      await call.send({ type: PACKET.stat, stat })
      if (entry.type === "file") await sendContents(call, id, entry)
      id++
    }
    await call.send({ type: PACKET.stat })
    await expect(call, PACKET.end)
    await call.send({ type: PACKET.end })
    call.end()
    while ((await call.receive()) !== undefined);
  } catch (error) {
    throw await cause(call, error)
  } finally {
    call.cancel()
  }
}

/** The tar has the contents now and never again, and clients ask for those of every file as soon as they know of it. */
async function sendContents(call: PacketCall, id: number, { body }: TarEntry): Promise<void> {
  await expect(call, PACKET.request, id)
  for await (const chunk of body)
    for (let at = 0; at < chunk.length; at += PIECE)
      await call.send({ type: PACKET.data, id, data: chunk.subarray(at, at + PIECE) })
  await call.send({ type: PACKET.data, id })
}

async function expect(call: PacketCall, type: number, id = 0): Promise<void> {
  const packet = await call.receive()
  if (packet === undefined) throw failure("unavailable", "the client ended the transfer of files")
  if (packet.type === PACKET.error)
    throw failure("invalid", `error from receiver: ${Buffer.from(packet.data).toString().slice(0, 4096)}`)
  if (packet.type !== type || packet.id !== id)
    throw failure("invalid", `the client asks for something else than the file ${id} that it was told of`)
}

const TYPES: Readonly<Partial<Record<TarType, number>>> = {
  file: 0o100000,
  hardlink: 0o100000,
  symlink: 0o120000,
  directory: 0o040000,
  "character-device": 0o020000,
  "block-device": 0o060000,
  fifo: 0o010000,
}

function statOf(entry: TarEntry) {
  const type = TYPES[entry.type]
  const path = entry.name.replace(/^(\.\/)+/, "").replace(/\/+$/, "")
  if (type === undefined || path === "" || path === ".") return undefined
  return {
    path,
    mode: goMode(type | (entry.mode & 0o7777)),
    uid: entry.uid,
    gid: entry.gid,
    size: entry.type === "file" ? entry.size : 0,
    modTime: BigInt(entry.mtime) * 1_000_000_000n,
    linkname: entry.linkName.replace(entry.type === "hardlink" ? /^(\.\/)+/ : /^$/, ""),
  }
}

/** Why a transfer failed: what the client says of it, if it ended the call, rather than that sending was refused. */
async function cause(call: { receive(): Promise<unknown> }, error: unknown): Promise<unknown> {
  if (!(error instanceof GrpcFailure) || error.code !== CODE.cancelled) return error
  try {
    while ((await call.receive()) !== undefined);
    return error
  } catch (told) {
    return told
  }
}
