// Text as the field's messages quote it: in double quotes, with what cannot be printed escaped (Go's %q).

const short: ReadonlyMap<number, string> = new Map([
  [0x07, "\\a"],
  [0x08, "\\b"],
  [0x0c, "\\f"],
  [0x0a, "\\n"],
  [0x0d, "\\r"],
  [0x09, "\\t"],
  [0x0b, "\\v"],
  [0x22, '\\"'],
  [0x5c, "\\\\"],
])

const printable = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, "0")

export const quoted = (text: string): string => {
  let out = '"'
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    const known = short.get(code)
    if (known !== undefined) out += known
    else if (code < 0x20 || code === 0x7f) out += `\\x${hex(code, 2)}`
    else if (printable.test(character)) out += character
    else out += code < 0x10000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`
  }
  return `${out}"`
}
