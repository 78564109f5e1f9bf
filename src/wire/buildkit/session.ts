// Services that a client offers over its session: files, credentials, secrets, SSH agents, blobs.
import { Timestamp } from "./ops.ts"
import { big, bytes, bytesMap, integer, message, nested, text, textMap } from "./protobuf.ts"

/** Metadata of one file. `mode` has Go's bits for the type, not those of st_mode. */
export const Stat = message({
  path: text(1),
  mode: integer(2),
  uid: integer(3),
  gid: integer(4),
  size: integer(5),
  /** Nanoseconds since 1970. */
  modTime: big(6),
  linkname: text(7),
  devMajor: integer(8),
  devMinor: integer(9),
  xattrs: bytesMap(10),
})

/** What a packet of file synchronisation is. */
export const PACKET = { stat: 0, request: 1, data: 2, end: 3, error: 4 } as const
export const Packet = message({ type: integer(1), stat: nested(2, Stat), id: integer(3), data: bytes(4) })

export const CredentialsRequest = message({ host: text(1) })
export const CredentialsResponse = message({ username: text(1), secret: text(2) })
export const GetSecretRequest = message({ id: text(1), annotations: textMap(2) })
export const GetSecretResponse = message({ data: bytes(1) })

export const CheckAgentRequest = message({ id: text(1) })

/** grpc.health.v1: 1 is serving. */
export const HealthRequest = message({ service: text(1) })
export const HealthResponse = message({ status: integer(1) })

/** containerd's content service, as far as a layout that a client holds is read and written by it. */
export const BlobFactsRequest = message({ digest: text(1) })
export const ReadBlobRequest = message({ digest: text(1), offset: integer(2), size: integer(3) })
export const ReadBlobResponse = message({ offset: integer(1), data: bytes(2) })
/** Action: 0 stat, 1 write, 2 commit. */
export const WriteBlobRequest = message({
  action: integer(1),
  ref: text(2),
  total: integer(3),
  expected: text(4),
  offset: integer(5),
  data: bytes(6),
  labels: textMap(7),
})
export const WriteBlobResponse = message({
  action: integer(1),
  startedAt: nested(2, Timestamp),
  updatedAt: nested(3, Timestamp),
  offset: integer(4),
  total: integer(5),
  digest: text(6),
})
