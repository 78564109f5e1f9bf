// Protocol buffers by tables: a message is a record of numbered fields, its TypeScript shape follows from the table.

/** Bytes that are no message, or not the one that was expected. */
export class WireError extends Error {}

/** Reads one message's bytes. Every read stays within them. */
export class Reader {
  readonly #bytes: Uint8Array
  readonly #text: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length
  }

  /** An unsigned number of at most 64 bits. */
  varint(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte()
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asUintN(64, value)
    }
    throw new WireError("a number has more than ten bytes")
  }

  /** As `varint`, for what fits 32 bits in nearly every case. */
  small(): number {
    let value = 0
    const start = this.#at
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte()
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    this.#at = start
    return Number(BigInt.asIntN(64, this.varint()))
  }

  bytes(): Uint8Array {
    const length = this.#length()
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  text(): string {
    const length = this.#length()
    this.#at += length
    const text = this.#text.toString("utf8", this.#at - length, this.#at)
    if (text.includes("\ufffd") && Buffer.byteLength(text) !== length)
      throw new WireError("a text is not UTF-8")
    return text
  }

  /** Passes over a field of this wire type. */
  skip(wire: number): void {
    if (wire === 0) this.varint()
    else if (wire === 1) this.#advance(8)
    else if (wire === 2) this.#advance(this.#length())
    else if (wire === 5) this.#advance(4)
    else throw new WireError(`there is no wire type ${wire} here`)
  }

  #byte(): number {
    const byte = this.#bytes[this.#at]
    if (byte === undefined) throw new WireError("a message ends in the middle of a field")
    this.#at++
    return byte
  }

  #length(): number {
    const length = this.small()
    if (length < 0 || this.#at + length > this.#bytes.length)
      throw new WireError("a field is longer than its message")
    return length
  }

  #advance(count: number): void {
    if (this.#at + count > this.#bytes.length) throw new WireError("a message ends in the middle of a field")
    this.#at += count
  }
}

/** Collects the fields of one message. */
export class Writer {
  readonly #parts: Uint8Array[] = []
  #small: number[] = []

  varint(value: number | bigint): void {
    if (typeof value === "number" && value >= 0 && value < 0x80) {
      this.#small.push(value)
      return
    }
    let rest = BigInt.asUintN(64, BigInt(value))
    while (rest >= 0x80n) {
      this.#small.push(Number(rest & 0x7fn) | 0x80)
      rest >>= 7n
    }
    this.#small.push(Number(rest))
  }

  tag(field: number, wire: number): void {
    this.varint(field * 8 + wire)
  }

  bytes(bytes: Uint8Array): void {
    this.varint(bytes.length)
    if (bytes.length === 0) return
    if (this.#small.length > 0) this.#parts.push(Uint8Array.from(this.#small))
    this.#small = []
    this.#parts.push(bytes)
  }

  finish(): Uint8Array {
    const small = Uint8Array.from(this.#small)
    return this.#parts.length === 0 ? small : Buffer.concat([...this.#parts, small])
  }
}

/** One value on the wire. */
interface Kind<T> {
  readonly wire: 0 | 2
  read(reader: Reader): T
  write(writer: Writer, value: T): void
}

/** A numbered field whose absence means `absent()`. */
export interface Field<T> {
  readonly number: number
  readonly wire: 0 | 2
  absent(): T
  /** The field's value after one more occurrence; `before` is what it was. */
  take(reader: Reader, before: T): T
  put(writer: Writer, value: T): void
}

const kinds = {
  text: {
    wire: 2,
    zero: "",
    read: (reader) => reader.text(),
    write: (writer, value) => writer.bytes(Buffer.from(value)),
  } satisfies Kind<string> & { zero: string },
  bytes: {
    wire: 2,
    zero: new Uint8Array(0),
    read: (reader) => reader.bytes(),
    write: (writer, value) => writer.bytes(value),
  } satisfies Kind<Uint8Array> & { zero: Uint8Array },
  integer: {
    wire: 0,
    zero: 0,
    read: (reader) => reader.small(),
    write: (writer, value) => writer.varint(value),
  } satisfies Kind<number> & { zero: number },
  big: {
    wire: 0,
    zero: 0n,
    read: (reader) => BigInt.asIntN(64, reader.varint()),
    write: (writer, value) => writer.varint(value),
  } satisfies Kind<bigint> & { zero: bigint },
  flag: {
    wire: 0,
    zero: false,
    read: (reader) => reader.varint() !== 0n,
    write: (writer, value) => writer.varint(value ? 1 : 0),
  } satisfies Kind<boolean> & { zero: boolean },
}

const isZero = (value: unknown, zero: unknown): boolean =>
  value instanceof Uint8Array ? value.length === 0 : value === zero

function single<T>(kind: Kind<T> & { readonly zero: T }, number: number): Field<T> {
  return {
    number,
    wire: kind.wire,
    absent: () => kind.zero,
    take: (reader) => kind.read(reader),
    put(writer, value) {
      if (isZero(value, kind.zero)) return
      writer.tag(number, kind.wire)
      kind.write(writer, value)
    },
  }
}

function repeated<T>(kind: Kind<T>, number: number): Field<readonly T[]> {
  return {
    number,
    wire: kind.wire,
    absent: () => [],
    take(reader, before) {
      // Each `absent()` is a list of its own, so that it may grow.
      ;(before as T[]).push(kind.read(reader))
      return before
    },
    put(writer, values) {
      for (const value of values) {
        writer.tag(number, kind.wire)
        kind.write(writer, value)
      }
    },
  }
}

export const text = (number: number): Field<string> => single<string>(kinds.text, number)
export const bytes = (number: number): Field<Uint8Array> => single<Uint8Array>(kinds.bytes, number)
/** Signed or not, up to 53 bits; beyond, it is rounded. */
export const integer = (number: number): Field<number> => single<number>(kinds.integer, number)
/** A signed number of 64 bits. */
export const big = (number: number): Field<bigint> => single<bigint>(kinds.big, number)
export const flag = (number: number): Field<boolean> => single<boolean>(kinds.flag, number)
export const texts = (number: number): Field<readonly string[]> => repeated<string>(kinds.text, number)
export const byteLists = (number: number): Field<readonly Uint8Array[]> =>
  repeated<Uint8Array>(kinds.bytes, number)

type Table = Readonly<Record<string, Field<unknown>>>
type ShapeOf<T extends Table> = { readonly [K in keyof T]: T[K] extends Field<infer V> ? V : never }

/** A shape of which anything may be left out, at every depth. */
export type Given<T> = T extends Uint8Array | string | number | bigint | boolean | undefined
  ? T
  : T extends readonly (infer Item)[]
    ? readonly Given<Item>[]
    : T extends ReadonlyMap<string, infer Value>
      ? ReadonlyMap<string, Given<Value>>
      : { readonly [K in keyof T]?: Given<T[K]> | undefined }

export interface Message<Shape> {
  /** Every field is there; absent ones have their zero value. Unknown fields are passed over. */
  decode(bytes: Uint8Array): Shape
  /** Fields that are missing or zero take no room. */
  encode(value: Given<Shape>): Uint8Array
}

/** The shape of a message. */
export type Decoded<M> = M extends Message<infer Shape> ? Shape : never

export function message<T extends Table>(table: T): Message<ShapeOf<T>> {
  const names = Object.keys(table)
  const byNumber = new Map(Object.entries(table).map(([name, field]) => [field.number, { name, field }]))
  return {
    decode(source) {
      const value: Record<string, unknown> = {}
      for (const name of names) value[name] = table[name]?.absent()
      const reader = new Reader(source)
      while (!reader.done) {
        const tag = reader.small()
        const known = byNumber.get(tag >>> 3)
        if (known === undefined || known.field.wire !== (tag & 7)) {
          if (tag >>> 3 === 0) throw new WireError("there is no field 0")
          reader.skip(tag & 7)
        } else value[known.name] = known.field.take(reader, value[known.name])
      }
      return value as ShapeOf<T>
    },
    encode(value) {
      const writer = new Writer()
      for (const name of names) {
        const given = (value as Readonly<Record<string, unknown>>)[name]
        if (given !== undefined) table[name]?.put(writer, given)
      }
      return writer.finish()
    },
  }
}

/** A message within a message; absent is undefined. */
export function nested<Shape>(number: number, inner: Message<Shape>): Field<Shape | undefined> {
  return {
    number,
    wire: 2,
    absent: () => undefined,
    take: (reader) => inner.decode(reader.bytes()),
    put(writer, value) {
      if (value === undefined) return
      writer.tag(number, 2)
      writer.bytes(inner.encode(value as Given<Shape>))
    },
  }
}

export const list = <Shape>(number: number, inner: Message<Shape>): Field<readonly Shape[]> =>
  repeated<Shape>(
    {
      wire: 2,
      read: (reader) => inner.decode(reader.bytes()),
      write: (writer, value) => writer.bytes(inner.encode(value as Given<Shape>)),
    },
    number,
  )

function map<V>(number: number, value: Field<V>): Field<ReadonlyMap<string, V>> {
  return {
    number,
    wire: 2,
    absent: () => new Map(),
    take(reader, before) {
      const entry = new Reader(reader.bytes())
      let key = ""
      let found = value.absent()
      while (!entry.done) {
        const tag = entry.small()
        if (tag === 10) key = entry.text()
        else if (tag === 16 + value.wire) found = value.take(entry, found)
        else entry.skip(tag & 7)
      }
      ;(before as Map<string, V>).set(key, found)
      return before
    },
    put(writer, entries) {
      for (const [key, one] of entries) {
        const entry = new Writer()
        entry.tag(1, 2)
        entry.bytes(Buffer.from(key))
        value.put(entry, one)
        writer.tag(number, 2)
        writer.bytes(entry.finish())
      }
    },
  }
}

export const textMap = (number: number): Field<ReadonlyMap<string, string>> => map(number, text(2))
export const bytesMap = (number: number): Field<ReadonlyMap<string, Uint8Array>> => map(number, bytes(2))
export const messageMap = <Shape>(
  number: number,
  inner: Message<Shape>,
): Field<ReadonlyMap<string, Shape | undefined>> => map(number, nested(2, inner))
