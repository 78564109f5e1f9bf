// The one place where kinds of failure become HTTP status codes.
import { type ErrorKind, errorKind } from "../base/errors.ts"

const STATUS = {
  invalid: 400,
  unauthorized: 401,
  forbidden: 403,
  "not-found": 404,
  conflict: 409,
  "not-modified": 304,
  "not-implemented": 501,
  unavailable: 503,
  exhausted: 507,
  cancelled: 499,
  internal: 500,
} as const satisfies Record<ErrorKind, number>

/** The HTTP status of anything thrown. */
export const httpStatus = (error: unknown): number => STATUS[errorKind(error)]
