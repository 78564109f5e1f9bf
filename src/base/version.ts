// The version of this program, written once here and in package.json (a test compares them).
export const VERSION = "0.1.0"

/** The date of this version; a fixed one, so that every build of it is the same. */
export const VERSION_DATE = "2026-11-21T00:00:00.000000000+00:00"
