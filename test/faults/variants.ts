// A right document with each of its fields wrong in turn, and what no message to a client may hold.

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** What a field may be instead; the long one is longer than any name may be. */
export const wrongs: readonly Json[] = [
  null,
  true,
  -1,
  1.5,
  1e300,
  2 ** 53,
  "",
  "\u202e💥\ud800",
  "a\0b",
  "../../../etc/passwd",
  "x".repeat(70_000),
  [],
  [null],
  [[["deep"]]],
  {},
  { __proto__: null, constructor: "x", "": {} },
]

/** The document once for each field and wrong value. */
export function* variants(document: Json): Generator<Json> {
  for (const wrong of wrongs) yield wrong
  if (typeof document !== "object" || document === null) return
  if (Array.isArray(document)) {
    for (const [index, value] of document.entries())
      for (const variant of variants(value)) yield document.with(index, variant)
    return
  }
  for (const [key, value] of Object.entries(document)) {
    const { [key]: _, ...rest } = document as Record<string, Json>
    yield rest
    for (const variant of variants(value)) yield { ...rest, [key]: variant }
  }
}

/** Words that betray a fault of ours. */
export const bad =
  /\n\s+at |undefined|\[object Object\]|Cannot read|is not a function|is not an object|is not iterable|is not defined/
