// One container that asks: its questions are answered from what was answered before, from the registry, or by others.
import { answer } from "./answer.ts"
import { type Query, type ResourceRecord, readQuery, refuse, writeAnswer } from "./message.ts"
import type { Names } from "./names.ts"

/** Most answers that are kept ready for one container. */
const MOST_READY = 1024
/** Bytes after the question of a query whose answer is kept ready: EDNS without options, at most. */
const PLAIN_TAIL = 11

/** Ready answers to one question; `turns` has one for each record that may come first. */
interface Ready {
  readonly query: Query
  /** Undefined: to be asked elsewhere. */
  readonly local?: {
    readonly code: number
    readonly records: readonly ResourceRecord[]
    readonly turns: Buffer[]
  }
}

/** An answer to send; a query to ask elsewhere; undefined when there is nothing to say. */
export type Outcome = Buffer | Query | undefined

export class Asker {
  readonly #names: Names
  readonly #containerId: string
  readonly #ready = new Map<string, Ready>()
  /** Type and name to how often they were answered: clients spell one question in many ways. */
  readonly #turns = new Map<string, number>()
  #version = -1
  #ndotsSet = false

  constructor(names: Names, containerId: string) {
    this.#names = names
    this.#containerId = containerId
  }

  /** What to do with a packet. `ndotsSet`: see Upstream. Never throws. */
  take(bytes: Buffer, tcp: boolean, ndotsSet: boolean): Outcome {
    if (this.#version !== this.#names.version || this.#ndotsSet !== ndotsSet) {
      this.#ready.clear()
      this.#turns.clear()
      this.#version = this.#names.version
      this.#ndotsSet = ndotsSet
    }
    // All but the number tells questions apart.
    const key = (tcp ? "t" : "u") + bytes.toString("latin1", 2)
    const ready = this.#ready.get(key) ?? this.#prepare(key, bytes, tcp)
    if (typeof ready === "number") return refuse(bytes, ready)
    if (!ready) return undefined
    const { query, local } = ready
    if (!local) return { ...query, bytes }
    const turn = local.records.length > 1 ? this.#turn(query) % local.records.length : 0
    const turns = local.turns
    turns[turn] ??= writeAnswer(query, local.code, [
      ...local.records.slice(turn),
      ...local.records.slice(0, turn),
    ])
    const out = Buffer.from(turns[turn])
    bytes.copy(out, 0, 0, 2)
    return out
  }

  #turn(query: Query): number {
    const key = `${query.type} ${query.name}`
    const turn = this.#turns.get(key) ?? 0
    if (this.#turns.size >= MOST_READY) this.#turns.clear()
    this.#turns.set(key, turn + 1)
    return turn
  }

  #prepare(key: string, bytes: Buffer, tcp: boolean): Ready | number | undefined {
    // A copy: the packet is part of what was read from a connection.
    const query = readQuery(Buffer.from(bytes), tcp)
    if (query === "drop") return undefined
    if (typeof query === "number") return query
    const found = answer(this.#names, this.#containerId, this.#ndotsSet, query)
    const ready: Ready = {
      query,
      ...(found.kind === "here" ? { local: { code: found.code, records: found.records, turns: [] } } : {}),
    }
    if (query.bytes.length - query.end <= PLAIN_TAIL) {
      if (this.#ready.size >= MOST_READY) this.#ready.clear()
      this.#ready.set(key, ready)
    }
    return ready
  }
}
