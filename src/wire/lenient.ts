// Building blocks of request schemas: bounded, null means absent (as Go's JSON decoder reads it), unknown fields are ignored.
import * as v from "valibot"

/** Most entries of any list or map in a request. */
const MAX_ENTRIES = 10_000
/** Longest text in a request; a seccomp profile fits. */
const MAX_TEXT = 1024 * 1024

const noNul = v.check<string, string>((text) => !text.includes("\0"), "must not contain NUL bytes")
const bounded = v.pipe(v.string(), v.maxLength(MAX_TEXT, "is too long"), noNul)
const integer = v.pipe(v.number(), v.safeInteger("must be a whole number"))

export const text = v.nullish(bounded, "")
export const flag = v.nullish(v.boolean(), false)
export const whole = v.nullish(integer, 0)

/** Told apart from their zero value: undefined when absent or null. */
const absent = <S extends v.GenericSchema>(schema: S) =>
  v.pipe(
    v.nullish(schema),
    v.transform((value) => value ?? undefined),
  )
export const maybeText = absent(bounded)
export const maybeFlag = absent(v.boolean())
export const maybeWhole = absent(integer)
export const maybe = absent

export const texts = v.nullish(v.pipe(v.array(bounded), v.maxLength(MAX_ENTRIES, "has too many entries")), [])
export const maybeTexts = absent(v.pipe(v.array(bounded), v.maxLength(MAX_ENTRIES, "has too many entries")))

/** Docker's strslice: a list, or one string that stands for a list of one. */
export const words = absent(
  v.pipe(
    v.union([bounded, v.pipe(v.array(bounded), v.maxLength(MAX_ENTRIES, "has too many entries"))]),
    v.transform((value) => (typeof value === "string" ? [value] : value)),
  ),
)

/** An object with any keys; a list is none, though JavaScript would take it for one. */
const dictionary = <S extends v.GenericSchema>(schema: S) =>
  v.pipe(
    v.custom<Record<string, unknown>>(
      (value) => typeof value === "object" && value !== null && !Array.isArray(value),
      "must be an object",
    ),
    v.record(bounded, schema),
  )

const fewEntries = <V>() =>
  v.check<Record<string, V>, string>(
    (value) => Object.keys(value).length <= MAX_ENTRIES,
    "has too many entries",
  )

export const textMap = v.nullish(v.pipe(dictionary(v.nullish(bounded, "")), fewEntries<string>()), {})

/** A Go set, map[string]struct{}: only its keys count. */
export const keySet = v.pipe(
  v.nullish(dictionary(v.unknown()), {}),
  v.transform((value) => Object.keys(value)),
)

export const listOf = <S extends v.GenericSchema>(schema: S) =>
  v.nullish(v.pipe(v.array(schema), v.maxLength(MAX_ENTRIES, "has too many entries")), [])

export const mapOf = <S extends v.GenericSchema>(schema: S) => v.nullish(dictionary(schema), {})
