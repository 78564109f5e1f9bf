// How a gRPC call ended: codes, the failure that carries one with its typed details, and its headers.
import type { IncomingHttpHeaders } from "node:http2"
import { type ErrorKind, errorKind, errorMessage } from "../../../base/errors.ts"
import { Status } from "../../../wire/buildkit/ops.ts"
import { WireError } from "../../../wire/buildkit/protobuf.ts"

export const CODE = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const

/** A typed detail; `typeUrl` names the type, `value` is its message. */
export interface Detail {
  readonly typeUrl: string
  readonly value: Uint8Array
}

/** The other side's failure, or one that this side tells the other. */
export class GrpcFailure extends Error {
  readonly code: number
  readonly details: readonly Detail[]
  constructor(code: number, message: string, details: readonly Detail[] = [], options?: ErrorOptions) {
    super(message, options)
    this.name = "GrpcFailure"
    this.code = code
    this.details = details
  }
}

const codes = {
  invalid: CODE.invalidArgument,
  unauthorized: CODE.unauthenticated,
  forbidden: CODE.permissionDenied,
  "not-found": CODE.notFound,
  conflict: CODE.failedPrecondition,
  "not-modified": CODE.alreadyExists,
  "not-implemented": CODE.unimplemented,
  unavailable: CODE.unavailable,
  exhausted: CODE.resourceExhausted,
  cancelled: CODE.cancelled,
  internal: CODE.unknown,
} satisfies Record<ErrorKind, number>

/** Anything thrown as a gRPC failure. */
export function grpcFailure(error: unknown): GrpcFailure {
  if (error instanceof GrpcFailure) return error
  if (error instanceof WireError) return new GrpcFailure(CODE.invalidArgument, error.message)
  if (error instanceof Error && error.name === "AbortError")
    return new GrpcFailure(CODE.cancelled, "context canceled")
  return new GrpcFailure(codes[errorKind(error)], errorMessage(error), [], { cause: error })
}

/** Bytes of a header block that every peer takes; details beyond are left out. */
const MOST_DETAILS = 48 << 10
const MOST_MESSAGE = 8 << 10

/** The trailers that tell how a call ended; undefined = well. */
export function statusHeaders(failure: GrpcFailure | undefined): Record<string, string> {
  if (failure === undefined) return { "grpc-status": "0" }
  const headers: Record<string, string> = {
    "grpc-status": String(failure.code),
    "grpc-message": encodeMessage(failure.message.slice(0, MOST_MESSAGE)),
  }
  if (failure.details.length > 0) {
    const { code, message, details } = failure
    const whole = Buffer.from(Status.encode({ code, message, details })).toString("base64")
    // Padding is optional here, and Go's side takes both forms.
    if (whole.length <= MOST_DETAILS) headers["grpc-status-details-bin"] = whole.replace(/=+$/, "")
  }
  return headers
}

/** The failure that headers or trailers tell of; undefined = the call went well. */
export function failureIn(headers: IncomingHttpHeaders): GrpcFailure | undefined {
  const code = Number(one(headers, "grpc-status") ?? CODE.unknown)
  if (code === CODE.ok) return undefined
  const message = decodeMessage(one(headers, "grpc-message") ?? "")
  const packed = one(headers, "grpc-status-details-bin")
  try {
    const details = packed === undefined ? [] : Status.decode(Buffer.from(packed, "base64")).details
    return new GrpcFailure(code, message, details)
  } catch {
    return new GrpcFailure(code, message)
  }
}

function one(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value[0] : value
}

/** Printable ASCII but "%" stays, every other byte of UTF-8 becomes %XX. */
const encodeMessage = (text: string): string =>
  Buffer.from(text.toWellFormed())
    .toString("latin1")
    .replace(/[^ -$&-~]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`)

function decodeMessage(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
