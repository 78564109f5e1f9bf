// The time of day in the two shapes that are stored and sent.

/** Unix milliseconds with a fraction. */
export const unixMilliseconds = (): number => {
  const coarse = Date.now()
  const fine = performance.timeOrigin + performance.now()
  // The fine clock does not follow changes of the system's clock.
  return Math.abs(fine - coarse) < 2 ? fine : coarse
}

/** Unix nanoseconds (microseconds are exact). */
export const unixNanoseconds = (): bigint => toNanoseconds(unixMilliseconds())

/** Unix milliseconds with a fraction as nanoseconds, to the microsecond that a double still holds. */
export const toNanoseconds = (milliseconds: number): bigint => BigInt(Math.round(milliseconds * 1000)) * 1000n
