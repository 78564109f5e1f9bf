// What a build asks of its client while it runs: each question is a line of the progress, each answer a request of its own.
import type { Duplex } from "node:stream"
import { errorMessage, failure } from "../../base/errors.ts"
import type { AskView } from "../../wire/wire.ts"
import type { Call } from "../call.ts"
import { receiveBytes, sendBytes } from "./bytes.ts"

/** Longest secret, and credentials. */
const LONGEST_TEXT = 512 * 1024

interface Question {
  /** Serves the request that answers; resolves when it is answered. */
  readonly serve: (call: Call) => Promise<void>
  readonly abandon: (reason: Error) => void
}

export class Exchange {
  readonly #questions = new Map<number, Question>()
  readonly #tell: (ask: AskView) => void
  #last = 0
  #closed: Error | undefined

  constructor(tell: (ask: AskView) => void) {
    this.#tell = tell
  }

  /** The bytes that the client sends; undefined when it says that there are none. */
  bytes(what: AskView["what"], id: string, digest?: string): Promise<AsyncIterable<Uint8Array> | undefined> {
    return this.#ask({ what, id, digest }, async (call, resolve, abandoned) => {
      if (call.query.flag("absent")) {
        resolve(undefined)
        call.request.resume()
        call.empty(204)
        return
      }
      await new Promise<void>((finished, broken) => {
        abandoned(() => finished())
        resolve(consumed(receiveBytes(call.request), finished, broken))
      })
      call.request.resume()
      call.empty(204)
    })
  }

  /** As `bytes`, whole. */
  async text(what: AskView["what"], id: string, digest?: string): Promise<Uint8Array | undefined> {
    const bytes = await this.bytes(what, id, digest)
    if (bytes === undefined) return undefined
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of bytes) {
      size += chunk.length
      if (size > LONGEST_TEXT)
        throw failure("invalid", `the ${what} ${id} is longer than ${LONGEST_TEXT / 1024} KiB`)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  }

  /** Hands bytes to the client; resolves when it has taken all of them. */
  give(
    what: "output" | "tree" | "cache-write",
    id: string,
    bytes: AsyncIterable<Uint8Array>,
    digest?: string,
  ): Promise<void> {
    return this.#ask({ what, id, digest }, async (call, resolve) => {
      await sendBytes(call, bytes, { "Content-Type": "application/octet-stream" })
      if (call.gone.aborted) throw failure("cancelled", "the client went away before it had all of an output")
      resolve(undefined)
    })
  }

  /** A connection to something at the client's; undefined when it has none. */
  connection(what: "ssh", id: string): Promise<Duplex | undefined> {
    return this.#ask({ what, id }, async (call, resolve) => {
      if (call.query.flag("absent")) {
        resolve(undefined)
        call.empty(204)
        return
      }
      const { output } = call.upgrade("UPGRADED", {
        "Content-Type": "application/vnd.docker.raw-stream",
        Connection: "Upgrade",
        Upgrade: "tcp",
      })
      resolve(output as Duplex)
    })
  }

  /** Serves the client's answer. Throws not-found when nothing, or nothing more, is asked under that number. */
  answer(number: number, call: Call): Promise<void> {
    const question = this.#questions.get(number)
    if (question === undefined)
      throw failure("not-found", `the build does not ask for anything under the number ${number}`)
    this.#questions.delete(number)
    return question.serve(call)
  }

  /** No question will be answered any more. */
  close(reason: unknown): void {
    this.#closed = reason instanceof Error ? reason : failure("cancelled", errorMessage(reason))
    for (const question of this.#questions.values()) question.abandon(this.#closed)
    this.#questions.clear()
    for (const end of this.#ends) end()
  }

  readonly #ends = new Set<() => void>()

  #ask<T>(
    view: { what: AskView["what"]; id: string; digest?: string | undefined },
    serve: (call: Call, resolve: (value: T) => void, abandoned: (end: () => void) => void) => Promise<void>,
  ): Promise<T> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed)
    this.#last++
    const number = this.#last
    const { digest, ...rest } = view
    return new Promise<T>((resolve, reject) => {
      this.#questions.set(number, {
        abandon: reject,
        serve: async (call) => {
          try {
            await serve(call, resolve, (end) => this.#ends.add(end))
          } catch (error) {
            reject(error)
            throw error
          }
        },
      })
      this.#tell({ number, ...rest, ...(digest === undefined ? {} : { digest }) })
    })
  }
}

/** Passes bytes on and tells when their reader has had enough of them. */
async function* consumed(
  bytes: AsyncIterable<Uint8Array>,
  finished: () => void,
  broken: (error: unknown) => void,
): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes
  } catch (error) {
    broken(error)
    throw error
  } finally {
    finished()
  }
}
