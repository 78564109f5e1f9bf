// Types and permissions of files between Go's mode words, which the protocol uses, and st_mode.

const types: readonly (readonly [go: number, posix: number])[] = [
  [2 ** 31, 0o040000],
  [2 ** 27, 0o120000],
  // A character device has both of its bits in Go's word.
  [2 ** 26 + 2 ** 21, 0o020000],
  [2 ** 26, 0o060000],
  [2 ** 25, 0o010000],
  [2 ** 24, 0o140000],
]
const extras: readonly (readonly [go: number, posix: number])[] = [
  [2 ** 23, 0o4000],
  [2 ** 22, 0o2000],
  [2 ** 20, 0o1000],
]

const has = (word: number, bits: number): boolean => (word & bits) >>> 0 === bits

/** st_mode of a mode word of Go. */
export function posixMode(word: number): number {
  const type = types.find(([go]) => has(word, go))?.[1] ?? 0o100000
  return extras.reduce((mode, [go, posix]) => (has(word, go) ? mode | posix : mode), type | (word & 0o777))
}

/** Go's mode word of st_mode. */
export function goMode(mode: number): number {
  const type = types.find(([, posix]) => (mode & 0o170000) === posix)?.[0] ?? 0
  return extras.reduce(
    (word, [go, posix]) => ((mode & posix) !== 0 ? word + go : word),
    type + (mode & 0o777),
  )
}
