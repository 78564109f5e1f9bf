// The word that was probably meant, for "(did you mean …?)".

/** Edits (insert, remove, replace a character) that make one of the other. */
const distance = (left: string, right: string): number => {
  const a = [...left]
  const b = [...right]
  let row = b.map((_, index) => index + 1)
  row.unshift(0)
  for (const [i, x] of a.entries()) {
    const next = [i + 1]
    for (const [j, y] of b.entries())
      next.push(Math.min((row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1, (row[j] ?? 0) + (x === y ? 0 : 1)))
    row = next
  }
  return row[b.length] ?? 0
}

/**
 * Of the options the one at most two edits away, "" when there is none or when the word is itself one of them. Without regard
 * to case it comes in the case of the word.
 */
export const suggestion = (word: string, options: Iterable<string>, caseSensitive = true): string => {
  const wanted = caseSensitive ? word : word.toLowerCase()
  let best = ""
  let least = 2.5
  for (const given of options) {
    const option = caseSensitive ? given : given.toLowerCase()
    if (option === wanted) return ""
    if (Math.abs(option.length - wanted.length) > 2) continue
    // Of two that are as near, the one that begins alike.
    const edits = distance(wanted, option) - (option[0] === wanted[0] ? 0.5 : 0)
    if (edits >= least) continue
    least = edits
    best = caseSensitive ? option : inCaseOf(option, word)
  }
  return best
}

const inCaseOf = (option: string, word: string): string => {
  if (word === word.toLowerCase()) return option.toLowerCase()
  return word === word.toUpperCase() ? option.toUpperCase() : option
}

/** A message with the suggestion behind it, if there is one. */
export const withSuggestion = (
  message: string,
  word: string,
  options: Iterable<string>,
  caseSensitive = true,
): string => {
  const meant = suggestion(word, options, caseSensitive)
  return meant === "" ? message : `${message} (did you mean ${meant}?)`
}
