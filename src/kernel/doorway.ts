// Connections for the next request, made ahead while its client still thinks.
import type { Connection } from "./connection.ts"

const drop = (made: readonly Connection[]): void => {
  for (const connection of made) connection.destroy()
}

/** What waits keeps no process alive. */
export class Doorway<Made extends readonly Connection[]> {
  readonly #dial: () => Promise<Made>
  readonly #patience: number | undefined
  #prepared: Promise<Made> | undefined
  #waiting: Made | undefined
  #timer: NodeJS.Timeout | undefined

  /** `patience`: milliseconds that prepared connections wait for their request; without it they wait until they are closed. */
  constructor(dial: () => Promise<Made>, patience?: number) {
    this.#dial = dial
    this.#patience = patience
  }

  /** Makes connections ahead, unless some wait already that are open still. */
  prepare(): void {
    if (this.#waiting?.some((connection) => connection.ended)) this.close()
    if (this.#prepared !== undefined) return
    const prepared = this.#dial()
    this.#prepared = prepared
    prepared.then(
      (made) => {
        if (this.#prepared !== prepared) return
        for (const connection of made) connection.socket.unref()
        this.#waiting = made
      },
      // Who needs a connection dials again and hears of the error.
      () => {
        if (this.#prepared === prepared) this.#forget()
      },
    )
    if (this.#patience === undefined) return
    this.#timer = setTimeout(() => this.close(), this.#patience)
    this.#timer.unref()
  }

  /** The connections that wait, unless there are none or one has ended: what is written now leaves at once. */
  takeWaiting(): Made | undefined {
    const made = this.#waiting
    if (made === undefined) return undefined
    this.#forget()
    for (const connection of made) connection.socket.ref()
    if (!made.some((connection) => connection.ended)) return made
    drop(made)
    return undefined
  }

  /** Open connections, made now if none were made ahead. Throws the socket's error. */
  async take(): Promise<Made> {
    await this.#prepared?.catch(() => {})
    return this.takeWaiting() ?? this.#dial()
  }

  close(): void {
    this.#prepared?.then(drop, () => {})
    this.#forget()
  }

  #forget(): void {
    clearTimeout(this.#timer)
    this.#prepared = undefined
    this.#waiting = undefined
  }
}
