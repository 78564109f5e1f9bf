// Numbers in tar headers: octal text, or GNU's base 256.

/** The value, negative ones in base 256 only; undefined when it is malformed or no 64-bit number. Beyond 2^53 it is rounded. */
export const tarNumber = (block: Uint8Array, at: number, length: number): number | undefined => {
  const first = block[at] ?? 0
  if ((first & 0x80) !== 0) {
    const negative = (first & 0x40) !== 0
    let value = negative ? first - 256 : first & 0x7f
    for (let index = at + 1; index < at + length; index++) value = value * 256 + (block[index] ?? 0)
    return Math.abs(value) < 2 ** 63 ? value : undefined
  }
  const end = at + length
  let value = 0
  while (at < end && block[at] === 0x20) at++
  for (; at < end; at++) {
    const digit = (block[at] ?? 0) - 0x30
    if (digit < 0 || digit > 7) break
    value = value * 8 + digit
  }
  for (; at < end; at++) if (block[at] !== 0x20 && block[at] !== 0) return undefined
  return value
}
