// Name servers that only a container reaches, such as one of its own at 127.0.0.1: its monitor asks them.
import { failure } from "../../base/errors.ts"
import { belongs, exchange } from "./exchange.ts"

/** Whether an address given with --dns means the container's loopback, as Docker has it. (IPv6: the host's.) */
export const isInside = (server: string): boolean => server.startsWith("127.")

/** Questions that were passed to one container's monitor. */
export class Inside {
  readonly #pass: (server: string, query: Buffer) => void
  readonly #waiting = new Set<(server: string, answer: Buffer) => void>()

  /** `pass` sends a question to the monitor. */
  constructor(pass: (server: string, query: Buffer) => void) {
    this.#pass = pass
  }

  /** The monitor has heard this from a server. */
  heard(server: string, answer: Buffer): void {
    for (const take of [...this.#waiting]) take(server, answer)
  }

  /** As exchange, by UDP alone for servers inside. */
  readonly exchange: typeof exchange = (server, query, end, signal) =>
    isInside(server) ? this.#ask(server, query, end, signal) : exchange(server, query, end, signal)

  #ask(server: string, query: Buffer, end: number, signal: AbortSignal): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        this.#waiting.delete(take)
        signal.removeEventListener("abort", abort)
      }
      const abort = (): void => {
        finish()
        reject(failure("cancelled", `${server} was not waited for any longer`))
      }
      const take = (from: string, answer: Buffer): void => {
        if (from !== server || !belongs(answer, query, end)) return
        finish()
        resolve(Buffer.from(answer))
      }
      signal.addEventListener("abort", abort)
      this.#waiting.add(take)
      this.#pass(server, query)
    })
  }
}
