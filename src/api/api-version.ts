// Which versions of the Docker Engine API are spoken, and how a request's prefix chooses one.
import { failure } from "../base/errors.ts"

/** Minor versions of API 1.x. */
export const NEWEST = 51
const OLDEST = 24
/** Debian's skopeo 1.9 always asks in 1.22; what it asks for is the same in 1.24, in which it is answered. */
const ADMITTED = 22
export const API_VERSION = `1.${NEWEST}`
export const MIN_API_VERSION = `1.${OLDEST}`

/** Splits "/v1.43/containers/json" into its minor version and path; without a prefix the newest is meant. */
export function splitVersion(path: string): { minor: number; path: string } {
  // 118 = "v", 48..57 = digits
  if (path.charCodeAt(1) !== 118 || !isDigit(path.charCodeAt(2))) return { minor: NEWEST, path }
  const slash = path.indexOf("/", 2)
  const version = slash < 0 ? path.slice(2) : path.slice(2, slash)
  const rest = slash < 0 ? "/" : path.slice(slash)
  const match = /^(\d{1,4})\.(\d{1,4})$/.exec(version)
  if (!match) return { minor: NEWEST, path }
  const major = Number(match[1])
  const minor = Number(match[2])
  if (major > 1 || (major === 1 && minor > NEWEST)) {
    throw failure(
      "invalid",
      `client version ${version} is too new. Maximum supported API version is ${API_VERSION}`,
    )
  }
  if (major < 1 || minor < ADMITTED) {
    throw failure(
      "invalid",
      `client version ${version} is too old. Minimum supported API version is ${MIN_API_VERSION}, please upgrade your client to a newer version`,
    )
  }
  return { minor: Math.max(minor, OLDEST), path: rest }
}

const isDigit = (code: number): boolean => code >= 48 && code <= 57
