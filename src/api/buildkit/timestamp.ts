// Points in time between this engine's milliseconds and the wire's seconds and nanoseconds.

export interface WireTime {
  readonly seconds: number
  readonly nanos: number
}

/** Unix milliseconds, with fractions, as the wire has them; absent stays absent. */
export const timestamp = (milliseconds: number | undefined): WireTime | undefined => {
  if (milliseconds === undefined) return undefined
  const seconds = Math.floor(milliseconds / 1000)
  return { seconds, nanos: Math.min(999_999_999, Math.round((milliseconds - seconds * 1000) * 1e6)) }
}
