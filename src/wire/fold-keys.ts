// Go's JSON decoder takes a field's name in any case, and clients have come to rely on it ("detachKeys" of docker-py).
import type { GenericSchema } from "valibot"

/** What a schema shows of itself: the fields of an object, or what it wraps. */
interface Shape {
  readonly type: string
  readonly entries?: Readonly<Record<string, Shape>>
  readonly wrapped?: Shape
  readonly item?: Shape
  readonly value?: Shape
}

const spellings = new WeakMap<object, Map<string, string>>()

/** Lower-case spelling to the name of each entry. */
const spellingsOf = (entries: Readonly<Record<string, Shape>>): Map<string, string> => {
  const known = spellings.get(entries)
  if (known !== undefined) return known
  const made = new Map(Object.keys(entries).map((name) => [name.toLowerCase(), name]))
  spellings.set(entries, made)
  return made
}

const foldShape = (shape: Shape | undefined, value: unknown): unknown => {
  if (shape === undefined || typeof value !== "object" || value === null) return value
  if (shape.wrapped !== undefined) return foldShape(shape.wrapped, value)
  if (Array.isArray(value)) {
    if (shape.item?.entries !== undefined || shape.item?.wrapped !== undefined)
      for (const [index, item] of value.entries()) value[index] = foldShape(shape.item, item)
    return value
  }
  const { entries } = shape
  if (entries === undefined) {
    const map = value as Record<string, unknown>
    if (shape.value !== undefined)
      for (const key of Object.keys(map)) map[key] = foldShape(shape.value, map[key])
    return value
  }
  const object = value as Record<string, unknown>
  for (const key of Object.keys(object)) {
    let name = key
    if (!Object.hasOwn(entries, key)) {
      name = spellingsOf(entries).get(key.toLowerCase()) ?? key
      if (name === key || Object.hasOwn(object, name)) continue
      object[name] = object[key]
      delete object[key]
    }
    object[name] = foldShape(entries[name], object[name])
  }
  return object
}

/** Gives fields the names that the schema has for them, in place; one that is there as written wins. */
export const foldKeys = (schema: GenericSchema, value: object): unknown =>
  foldShape(schema as unknown as Shape, value)
