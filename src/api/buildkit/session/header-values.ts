// Values of metadata as BuildKit's sessions write them: anything that a header cannot hold is escaped, and said to be.

/** Metadata of one key with several values; none when there are none. */
export function headerValues(key: string, values: readonly string[]): Record<string, string[]> {
  if (values.length === 0) return {}
  const plain = values.every((value) => /^[!-+\--~]([ -+\--~]*[!-+\--~])?$/.test(value))
  if (plain) return { [key]: [...values] }
  return { [key]: values.map(escaped), [`${key}-encoded`]: ["1"] }
}

/** As Go's url.QueryEscape. */
const escaped = (value: string): string =>
  encodeURIComponent(value.toWellFormed()).replace(/[!'()*]|%20/g, (text) =>
    text === "%20" ? "+" : `%${text.charCodeAt(0).toString(16).toUpperCase()}`,
  )
