// Two connections to a monitor for the next exec, made ahead while its client still thinks.
import { type Connection, open } from "./connection.ts"

/** Milliseconds that prepared connections wait for their exec. */
const patience = 3000

type Pair = readonly [first: Connection, second: Connection]

/** The monitor reads the newest of its connections first, so the one that is to be read first is dialled last. */
async function dialPair(socket: string): Promise<Pair> {
  const halves = [open(socket), open(socket)] as const
  try {
    const [second, first] = await Promise.all(halves)
    return [first, second]
  } catch (error) {
    for (const half of halves)
      half.then(
        (connection) => connection.destroy(),
        () => {},
      )
    throw error
  }
}

const drop = (pair: Pair): void => {
  for (const connection of pair) connection.destroy()
}

export class Doorway {
  readonly #socket: string
  #prepared: Promise<Pair> | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(socket: string) {
    this.#socket = socket
  }

  /** Makes a pair ahead, unless one waits already. */
  prepare(): void {
    if (this.#prepared !== undefined) return
    this.#prepared = dialPair(this.#socket)
    // Who takes it hears of the error.
    this.#prepared.catch(() => {})
    this.#timer = setTimeout(() => this.close(), patience)
    this.#timer.unref()
  }

  /** Two open connections: what is written to both at once is read from the first one first. Throws the socket's error. */
  async take(): Promise<Pair> {
    const prepared = this.#prepared
    this.#prepared = undefined
    clearTimeout(this.#timer)
    const pair = await prepared?.catch(() => undefined)
    if (pair === undefined) return dialPair(this.#socket)
    if (!pair.some((connection) => connection.ended)) return pair
    drop(pair)
    return dialPair(this.#socket)
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#prepared?.then(drop, () => {})
    this.#prepared = undefined
  }
}
