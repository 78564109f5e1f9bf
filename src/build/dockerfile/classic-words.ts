// How dockerd's classic builder (20.10) words what is wrong in a Dockerfile; programs match on these.

const flagWords: readonly (readonly [pattern: RegExp, words: string])[] = [
  [/^unknown flag: --(.*)$/s, "Unknown flag: $1"],
  [/^duplicate flag specified: --(.*)$/s, "Duplicate flag specified: $1"],
  [/^missing a value on flag: --(.*)$/s, "Missing a value on flag: $1"],
  [/^expecting boolean value for flag --(.*)$/s, "Expecting boolean value for flag $1"],
]

/** An instruction's failure: nothing is suggested, and flags are named without their dashes. */
export const classicInstruction = (line: number, message: string): string => {
  const plain = message.replace(/ \(did you mean [^()]*\?\)$/, "")
  const [pattern, words] = flagWords.find(([known]) => known.test(plain)) ?? []
  const sentence = pattern === undefined || words === undefined ? plain : plain.replace(pattern, words)
  return `dockerfile parse error line ${line}: ${sentence}`
}

/** A failure of the first pass, before instructions are looked at one by one. */
export const classicLines = (message: string): string => `failed to parse Dockerfile: ${message}`

export const classicEmpty = (file: string): string => `the Dockerfile (${file}) cannot be empty`
