// RUN --mount and --device: one line of comma-separated fields each, read when variables are known.
import { parseByteSize } from "../../base/byte-size.ts"
import { BuildFailure } from "../failure.ts"
import { readBoolean, readUnsigned } from "./go-values.ts"
import type { RunMount } from "./instructions.ts"
import { quoted } from "./quoted.ts"
import { withSuggestion } from "./suggestion.ts"

const refused = (message: string): BuildFailure => new BuildFailure("invalid", message, {})

/** Fields of one line of CSV. `what` is for the failure: "mounts". */
const readFields = (line: string, what: string): readonly string[] => {
  const wrong = (column: number, why: string) =>
    refused(`failed to parse csv ${what}: parse error on line 1, column ${column + 1}: ${why}`)
  const text = line.replace(/\r?\n$/, "")
  if (text === "") throw refused(`failed to parse csv ${what}: EOF`)
  const fields: string[] = []
  let at = 0
  for (;;) {
    if (text[at] !== '"') {
      const comma = text.indexOf(",", at)
      const field = text.slice(at, comma < 0 ? undefined : comma)
      const quote = field.indexOf('"')
      if (quote >= 0) throw wrong(at + quote, 'bare " in non-quoted field')
      fields.push(field)
      if (comma < 0) return fields
      at = comma + 1
      continue
    }
    let field = ""
    for (at++; ; at++) {
      const quote = text.indexOf('"', at)
      if (quote < 0) throw wrong(at, 'extraneous or missing " in quoted-field')
      field += text.slice(at, quote)
      at = quote + 1
      if (text[at] !== '"') break
      field += '"'
    }
    fields.push(field)
    if (at === text.length) return fields
    if (text[at] !== ",") throw wrong(at - 1, 'extraneous or missing " in quoted-field')
    at++
  }
}

/** A field's key in lower case, and its value; undefined = there is no "=". */
const splitField = (field: string): readonly [key: string, value: string | undefined] => {
  const equals = field.indexOf("=")
  return equals < 0
    ? [field.toLowerCase(), undefined]
    : [field.slice(0, equals).toLowerCase(), field.slice(equals + 1)]
}

/** What a mount is taken from (a stage, an image, a context): "" = not said. This part holds no variables. Throws BuildFailure. */
export const mountFrom = (text: string): string => {
  let from = ""
  for (const [key, value] of readFields(text, "mounts").map(splitField)) {
    if (key !== "from" || value === undefined) continue
    const dollar = value.indexOf("$")
    if (dollar >= 0 && dollar !== value.length - 1)
      throw refused("'from' doesn't support variable expansion, define alias stage instead")
    from = value
  }
  return from
}

export const mountTypes = ["bind", "cache", "tmpfs", "secret", "ssh"] as const
const sharings = ["shared", "private", "locked"] as const
export const mountKeys =
  "type from source target readonly id sharing required size mode uid gid src dst destination ro rw readwrite env".split(
    " ",
  )

const oneOf = <T extends string>(values: readonly T[], text: string, what: string): T => {
  const found = values.find((value) => value === text.toLowerCase())
  if (found === undefined) throw refused(withSuggestion(`unsupported ${what} ${quoted(text)}`, text, values))
  return found
}

const booleanOf = (key: string, value: string): boolean => {
  const read = readBoolean(value)
  if (read === undefined) throw refused(`invalid value for ${key}: ${value}`)
  return read
}

const numberOf = (key: string, value: string, base: 8 | 10): number => {
  const read = readUnsigned(value, base)
  if (read === undefined) throw refused(`invalid value ${value} for ${key}`)
  return read
}

const sizeOf = (value: string): number => {
  try {
    return parseByteSize(value, "size")
  } catch (error) {
    throw new BuildFailure("invalid", `invalid value for size: ${value}`, {}, { cause: error })
  }
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] }

/** A mount of RUN as written in --mount. `expand` puts variables in place. Throws BuildFailure (invalid). */
export const readMount = (text: string, expand: (value: string) => string): RunMount => {
  const mount: Writable<RunMount> = { type: "bind" }
  for (const field of readFields(text, "mounts")) {
    const [key, written] = splitField(field)
    if (written === undefined) readWord(mount, key, field)
    else readValue(mount, key, expand(written), field)
  }
  mount.readOnly ??= mount.type !== "cache" && mount.type !== "tmpfs"
  checkMount(mount)
  return mount
}

const readWord = (mount: Writable<RunMount>, key: string, field: string): void => {
  if (key === "readonly" || key === "ro") mount.readOnly = true
  else if (key === "readwrite" || key === "rw") mount.readOnly = false
  else if (key === "required") readRequired(mount, true)
  else throw refused(`invalid field '${field}' must be a key=value pair`)
}

const readRequired = (mount: Writable<RunMount>, required: boolean): void => {
  onlyFor(mount, "required", ["secret", "ssh"])
  mount.required = required
}

const onlyFor = (mount: RunMount, key: string, types: readonly string[]): void => {
  if (!types.includes(mount.type)) throw refused(`unexpected key '${key}' for mount type '${mount.type}'`)
}

const readValue = (mount: Writable<RunMount>, key: string, value: string, field: string): void => {
  switch (key) {
    case "type":
      mount.type = oneOf(mountTypes, value, "mount type")
      return
    case "from":
    case "id":
    case "env":
      mount[key] = value
      return
    case "source":
    case "src":
      mount.source = value
      return
    case "target":
    case "dst":
    case "destination":
      mount.target = value
      return
    case "readonly":
    case "ro":
      mount.readOnly = booleanOf(key, value)
      return
    case "readwrite":
    case "rw":
      mount.readOnly = !booleanOf(key, value)
      return
    case "required":
      onlyFor(mount, key, ["secret", "ssh"])
      readRequired(mount, booleanOf(key, value))
      return
    case "size":
      onlyFor(mount, key, ["tmpfs"])
      mount.size = sizeOf(value)
      return
    case "sharing":
      mount.sharing = oneOf(sharings, value, "sharing value")
      return
    case "mode":
      mount.mode = numberOf(key, value, 8)
      return
    case "uid":
    case "gid":
      mount[key] = numberOf(key, value, 10)
      return
    default:
      throw refused(withSuggestion(`unexpected key '${key}' in '${field}'`, key, mountKeys))
  }
}

const checkMount = (mount: RunMount): void => {
  if (mount.type === "bind" || mount.type === "tmpfs")
    for (const key of ["mode", "uid", "gid"] as const)
      if (mount[key] !== undefined) throw refused(`${key} not allowed for ${quoted(mount.type)} type mounts`)
  if (mount.type === "secret") {
    if ((mount.from ?? "") !== "") throw refused("secret mount should not have a from")
    if (mount.sharing !== undefined) throw refused("secret mount should not define sharing")
    const { source = "", target = "", id = "" } = mount
    if (source === "" && target === "" && id === "")
      throw refused("invalid secret mount. one of source, target required")
    if (source !== "" && id !== "") throw refused("both source and id can't be set")
  }
  if (mount.sharing !== undefined && mount.type !== "cache")
    throw refused(`invalid cache sharing set for ${mount.type} mount`)
}

/** RUN --device: a CDI name, needed or not. Throws BuildFailure (invalid). */
export const readDevice = (text: string): { readonly name: string; readonly required: boolean } => {
  let name = ""
  let required = false
  for (const field of readFields(text, "devices")) {
    const [key, value] = splitField(field)
    if (key === "required") {
      required = value === undefined || booleanOf(key, value)
    } else if (key === "name" && value !== undefined) {
      if (name !== "") throw refused(`device name already set to ${name}`)
      name = value
    } else if (name === "") name = field
    else if (value === undefined) throw refused(`invalid field '${field}' must be a key=value pair`)
    else throw refused(withSuggestion(`unexpected key '${key}' in '${field}'`, key, ["name", "required"]))
  }
  return { name, required }
}
