// Questions that no container answers: asked of upstream servers from the host's namespace, each answer kept while it lives.
import { randomInt } from "node:crypto"
import { Limiter } from "../../base/limiter.ts"
import { AnswerCache, cacheKey } from "./cache.ts"
import { exchange } from "./exchange.ts"
import { ASKED, CODE, codeOf, type Query, TYPE, truncate, writeAnswer } from "./message.ts"

/** Milliseconds until the next server is asked too, and until nobody is waited for any longer. */
const NEXT_SERVER = 1500
const WHOLE = 8000
/** Times that each server is asked. */
const ROUNDS = 2
/** How long a server that did not answer is asked last, milliseconds. */
const SHUNNED = 30_000
/** Most questions that are under way at once, for all and for one container; others wait for their turn. */
const MOST_UNDER_WAY = 512
export const MOST_FOR_ONE = 128
/** What is said to take by UDP: no fragment is needed for it on any usual link. */
const UDP_SIZE = 1232

/** Asks one server; see exchange. */
export type Exchange = typeof exchange

export class Upstreams {
  readonly #cache: AnswerCache
  readonly #underWay = new Map<string, Promise<Buffer | undefined>>()
  readonly #shunned = new Map<string, number>()
  /** Ends one question each. */
  readonly #endings = new Set<() => void>()
  readonly #limiter = new Limiter(MOST_UNDER_WAY)
  #closed = false
  /** Waiting times, replaced by tests. */
  readonly #times: { readonly nextServer: number; readonly whole: number }

  constructor(cache: AnswerCache = new AnswerCache(), times = { nextServer: NEXT_SERVER, whole: WHOLE }) {
    this.#cache = cache
    this.#times = times
  }

  /** What is known already: no server is asked. `whose`: see ask. */
  known(servers: readonly string[], query: Query, whose = ""): Buffer | undefined {
    const kept = this.#cache.find(cacheKey(whose + servers.join(), query))
    return kept && dressed(kept, query)
  }

  /**
   * The answer of the first server that has one; the client's failure answer when none has. Never rejects. Servers that
   * are others for each container are asked by an exchange of its own, and `whose` keeps their answers apart.
   */
  async ask(servers: readonly string[], query: Query, whose = "", by: Exchange = exchange): Promise<Buffer> {
    const key = cacheKey(whose + servers.join(), query)
    let asked = this.#underWay.get(key)
    if (!asked && !this.#closed) {
      asked = this.#limiter
        .run(() => (this.#closed ? undefined : this.#askAll(servers, query, by)))
        .then((answer) => {
          if (answer) this.#cache.put(key, answer)
          return answer
        })
        .finally(() => this.#underWay.delete(key))
      this.#underWay.set(key, asked)
    }
    const answer = await asked
    return answer ? dressed(answer, query) : writeAnswer(query, CODE.serverFailure)
  }

  /** Servers in the order in which they are asked: those that lately did not answer come last. */
  #ordered(servers: readonly string[]): string[] {
    const now = performance.now()
    const isShunned = (server: string): boolean => (this.#shunned.get(server) ?? 0) > now
    return [...servers.filter((server) => !isShunned(server)), ...servers.filter(isShunned)]
  }

  /** A server is asked when those before it have failed or been slow; whoever answers first, is heard. */
  #askAll(servers: readonly string[], query: Query, by: Exchange): Promise<Buffer | undefined> {
    const order = Array.from({ length: ROUNDS }, () => this.#ordered(servers)).flat()
    const done = new AbortController()
    const { signal } = done
    return new Promise((resolve) => {
      let waiting = 0
      let refused: Buffer | undefined
      let timer: NodeJS.Timeout | undefined
      const finish = (answer: Buffer | undefined): void => {
        clearTimeout(timer)
        clearTimeout(whole)
        this.#endings.delete(giveUp)
        done.abort()
        resolve(answer)
      }
      const giveUp = (): void => finish(refused)
      const whole = setTimeout(giveUp, this.#times.whole)
      this.#endings.add(giveUp)
      const next = (): void => {
        clearTimeout(timer)
        const server = order.shift()
        if (server === undefined) {
          if (waiting === 0) giveUp()
          return
        }
        waiting++
        timer = setTimeout(() => {
          this.#shunned.set(server, performance.now() + SHUNNED)
          next()
        }, this.#times.nextServer)
        const sent = question(query)
        by(server, sent, query.end, signal)
          .then(
            (answer) => {
              if (codeOf(answer) === CODE.ok || codeOf(answer) === CODE.noSuchName) {
                this.#shunned.delete(server)
                return finish(answer)
              }
              refused = answer
            },
            () => {
              if (!signal.aborted) this.#shunned.set(server, performance.now() + SHUNNED)
            },
          )
          .then(() => {
            waiting--
            if (!signal.aborted) next()
          })
      }
      next()
    })
  }

  /** Ends what is under way; nothing is asked any more. */
  close(): void {
    this.#closed = true
    for (const end of this.#endings) end()
    this.#cache.clear()
  }
}

/** The question as we ask it: a random number, the client's wishes for recursion and DNSSEC, none of its EDNS options. */
const question = (query: Query): Buffer => {
  const out = Buffer.alloc(query.end + (query.edns ? 11 : 0))
  query.bytes.copy(out, 0, 0, query.end)
  out.writeUInt16BE(randomInt(65_536), 0)
  out.writeUInt16BE(query.bytes.readUInt16BE(2) & ASKED, 2)
  out.writeUInt16BE(query.edns ? 1 : 0, 10)
  if (query.edns) {
    out.writeUInt16BE(TYPE.opt, query.end + 1)
    out.writeUInt16BE(UDP_SIZE, query.end + 3)
    out.writeUInt16BE(query.edns.dnssecOk ? 0x8000 : 0, query.end + 7)
  }
  return out
}

/** An upstream answer as this client gets it: its number, its spelling of the name, no more than it takes. */
const dressed = (answer: Buffer, query: Query): Buffer => {
  if (answer.length > query.largest) return truncate(answer, query)
  const out = Buffer.from(answer)
  query.bytes.copy(out, 0, 0, 2)
  query.bytes.copy(out, 12, 12, query.end)
  return out
}
