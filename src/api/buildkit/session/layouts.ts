// Blobs in directories that a client holds (layouts, local caches): by digest, over containerd's content service.
import { failure } from "../../../base/errors.ts"
import type { CacheDirectory, CacheLocation, ContextSource } from "../../../build/build.ts"
import { Empty } from "../../../wire/buildkit/control.ts"
import {
  BlobFactsRequest,
  ReadBlobRequest,
  ReadBlobResponse,
  WriteBlobRequest,
  WriteBlobResponse,
} from "../../../wire/buildkit/session.ts"
import { CODE, GrpcFailure } from "../grpc/status.ts"
import type { Session } from "./sessions.ts"

const SERVICE = "/containerd.services.content.v1.Content"
/** Metadata that says which of the client's stores is meant. */
const STORE = "buildkit-attachable-store-id"
const WRITE = { write: 1, commit: 2 } as const
/** Bytes in one message; clients take four times as many. */
const PIECE = 1 << 20

/** "store:tag@sha256:…", the address of a named context after its scheme. */
export function layoutContext(
  address: string,
  name: string,
  { session, signal }: { readonly session: Session | undefined; readonly signal: AbortSignal },
): ContextSource {
  const [, store, digest] = /^([^:@/]+)(?::[^@]*)?@(sha256:[0-9a-f]{64})$/.exec(address) ?? []
  if (store === undefined || digest === undefined)
    throw failure("invalid", `could not parse oci-layout reference ${address} for ${name}`)
  if (session === undefined)
    throw failure("invalid", `the layout ${name} is the client's, who has no session`)
  return { type: "layout", digest, read: (blob) => readBlob(session, `oci:${store}`, blob, signal) }
}

/** The client's directory of a local cache, or of an export as a layout, by the name of its store. */
export const sessionDirectory = (session: Session, store: string): CacheDirectory => ({
  async has(digest) {
    try {
      const options = { metadata: { [STORE]: [store] }, signal: session.connection.gone }
      await session.connection.unary(`${SERVICE}/Info`, BlobFactsRequest, Empty, { digest }, options)
      return true
    } catch (error) {
      if (error instanceof GrpcFailure && error.code === CODE.notFound) return false
      throw error
    }
  },
  read: (digest, signal) => readBlob(session, store, digest, signal),
  write: (blob, bytes, signal) => writeBlob(session, store, blob, bytes, signal),
})

/** A local cache's directory is the client's: its session holds it. */
export function reached(
  { type, attributes }: Pick<CacheLocation, "type" | "attributes">,
  key: "src" | "dest",
  session: Session | undefined,
): CacheLocation {
  const path = attributes.get(key)
  if (type !== "local" || path === undefined || session === undefined) return { type, attributes }
  return { type, attributes, directory: sessionDirectory(session, `local:${path}`) }
}

const told = (session: Session, store: string, signal: AbortSignal) => ({
  metadata: { [STORE]: [store] },
  signal: AbortSignal.any([signal, session.connection.gone]),
})

async function* readBlob(
  session: Session,
  store: string,
  digest: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const call = session.connection.call(
    `${SERVICE}/Read`,
    ReadBlobRequest,
    ReadBlobResponse,
    told(session, store, signal),
  )
  try {
    await call.send({ digest })
    call.end()
    for (;;) {
      const message = await call.receive()
      if (message === undefined) return
      yield message.data
    }
  } catch (error) {
    if (error instanceof GrpcFailure && error.code === CODE.notFound)
      throw failure("not-found", `the client has no blob ${digest}`, { cause: error })
    throw error
  } finally {
    call.cancel()
  }
}

async function writeBlob(
  session: Session,
  store: string,
  { digest, size }: { readonly digest: string; readonly size: number },
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const call = session.connection.call(
    `${SERVICE}/Write`,
    WriteBlobRequest,
    WriteBlobResponse,
    told(session, store, signal),
  )
  try {
    const facts = { ref: `sloop-${digest}`, total: size, expected: digest }
    let offset = 0
    for await (const chunk of bytes) {
      for (let at = 0; at < chunk.length; at += PIECE) {
        const data = chunk.subarray(at, at + PIECE)
        await call.send({ ...facts, action: WRITE.write, offset, data })
        offset += data.length
        // Every piece is answered; a client that cannot write says so there.
        if ((await call.receive()) === undefined)
          throw failure("unavailable", `the client took ${digest} only in part`)
      }
    }
    await call.send({ ...facts, action: WRITE.commit, offset })
    call.end()
    while ((await call.receive()) !== undefined);
  } catch (error) {
    if (error instanceof GrpcFailure && error.code === CODE.alreadyExists) return
    throw error
  } finally {
    call.cancel()
  }
}
