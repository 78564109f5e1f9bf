// Links of running containers that are being changed, noted before the kernel is asked: what a killed daemon had begun is
// found by the next one.
import type { State } from "../../state/state.ts"

/** A link that is being put into, or taken out of, the namespace of a running container. */
export interface Intent {
  readonly verb: "connect" | "disconnect"
  readonly container: string
  /** Of its init: the way into the namespace. */
  readonly pid: number
  readonly endpoint: string
  /** Its end on this host, "" if it has none. */
  readonly link: string
  /** Its name inside. */
  readonly name: string
}

const PREFIX = "network.changing."
/** A lease is stored well within this many milliseconds after it was given out. */
const KEPT_FOR = 5000

const isIntent = (value: unknown): value is Intent =>
  typeof value === "object" &&
  value !== null &&
  "verb" in value &&
  (value.verb === "connect" || value.verb === "disconnect") &&
  "container" in value &&
  typeof value.container === "string" &&
  "pid" in value &&
  typeof value.pid === "number" &&
  "endpoint" in value &&
  typeof value.endpoint === "string" &&
  "link" in value &&
  typeof value.link === "string" &&
  "name" in value &&
  typeof value.name === "string"

export class Intents {
  readonly #state: State
  readonly #ending = new Set<NodeJS.Timeout>()

  constructor(state: State) {
    this.#state = state
  }

  begin(intent: Intent): void {
    this.#state.settings.put(PREFIX + intent.endpoint, JSON.stringify(intent), { durable: false })
  }

  /** The change stands or is undone; its note goes once the container's new lease is surely stored. */
  end(endpoint: string): void {
    const timer = setTimeout(() => {
      this.#ending.delete(timer)
      this.forget(endpoint)
    }, KEPT_FOR)
    timer.unref()
    this.#ending.add(timer)
  }
  forget(endpoint: string): void {
    this.#state.settings.remove(PREFIX + endpoint, { durable: false })
  }

  /** What earlier daemons noted. */
  list(): Intent[] {
    return this.#state.settings.entries().flatMap(([key, text]) => {
      if (!key.startsWith(PREFIX)) return []
      const value: unknown = JSON.parse(text)
      return isIntent(value) ? [value] : []
    })
  }

  /** Leaves the notes to the next daemon. */
  close(): void {
    for (const timer of this.#ending) clearTimeout(timer)
    this.#ending.clear()
  }
}
