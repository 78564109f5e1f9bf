// Times and durations between the domain (unix milliseconds or nanoseconds) and Docker's texts.
import { parseDuration } from "../../base/duration.ts"

export const ZERO_TIME = "0001-01-01T00:00:00Z"

/** RFC 3339 of unix milliseconds (fraction allowed, kept to the microsecond); 0 is Go's zero time. */
export function rfc3339(milliseconds: number): string {
  if (milliseconds === 0) return ZERO_TIME
  const whole = Math.floor(milliseconds)
  const micros = Math.round((milliseconds - whole) * 1000)
  return rfc3339Nano(BigInt(whole) * 1_000_000n + BigInt(micros) * 1000n)
}

/** RFC 3339 of unix nanoseconds, trailing zeros of the fraction cut as Go does. */
export function rfc3339Nano(nanoseconds: bigint): string {
  const fraction = ((nanoseconds % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n
  const seconds = (nanoseconds - fraction) / 1_000_000_000n
  const text = new Date(Number(seconds) * 1000).toISOString().slice(0, 19)
  const digits = fraction.toString().padStart(9, "0").replace(/0+$/, "")
  return digits === "" ? `${text}Z` : `${text}.${digits}Z`
}

/** RFC 3339 without a fraction. */
export const rfc3339Seconds = (milliseconds: number): string =>
  `${new Date(milliseconds).toISOString().slice(0, 19)}Z`

/** Domain milliseconds of Docker's nanoseconds; 0 means not given. */
export const millisecondsOf = (nanoseconds: number): number | undefined =>
  nanoseconds === 0 ? undefined : nanoseconds / 1_000_000

/**
 * Unix nanoseconds of what Docker takes as a time: "1700000000", "1700000000.000000001", a Go duration before now,
 * RFC 3339 with or without fraction, zone, seconds or time of day. undefined when it is none of these.
 */
export function parseTimestamp(
  text: string,
  now: bigint = BigInt(Date.now()) * 1_000_000n,
): bigint | undefined {
  const seconds = /^(-?\d{1,12})(?:\.(\d{1,9}))?$/.exec(text)
  if (seconds) {
    const fraction = BigInt((seconds[2] ?? "").padEnd(9, "0"))
    return BigInt(seconds[1] ?? "0") * 1_000_000_000n + fraction
  }
  if (/^[+-]?[\d.]+[a-zµμ]/.test(text)) {
    try {
      return now - BigInt(Math.round(parseDuration(text) * 1e6))
    } catch {
      return undefined
    }
  }
  const date =
    /^(\d{4}-\d{2}-\d{2})(?:T(\d{2})(?::(\d{2}))?(?::(\d{2})(?:\.(\d{1,9}))?)?)?(Z|[+-]\d{2}:\d{2})?$/.exec(
      text,
    )
  if (!date) return undefined
  const [, day, hour = "00", minute = "00", second = "00", fraction = "", zone = "Z"] = date
  const milliseconds = Date.parse(`${day}T${hour}:${minute}:${second}${zone}`)
  if (Number.isNaN(milliseconds)) return undefined
  return BigInt(milliseconds) * 1_000_000n + BigInt(fraction.padEnd(9, "0"))
}
