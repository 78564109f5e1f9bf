// Connections under way, noted before the kernel is asked: what a killed daemon had begun is found by the next one.
import type { State } from "../state/state.ts"

/** A link that is being put into the namespace of a running container. */
export interface Intent {
  readonly container: string
  /** Of its init: the way into the namespace. */
  readonly pid: number
  readonly endpoint: string
  /** Its end on this host, "" if it has none. */
  readonly link: string
  /** Its name inside. */
  readonly name: string
}

const PREFIX = "network.connecting."
/** A lease is stored well within this many milliseconds after connect() has given it. */
const KEPT_FOR = 5000

const isIntent = (value: unknown): value is Intent =>
  typeof value === "object" &&
  value !== null &&
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

  constructor(state: State) {
    this.#state = state
  }

  begin(intent: Intent): void {
    this.#state.settings.put(PREFIX + intent.endpoint, JSON.stringify(intent), { durable: false })
  }

  /** The connection stands or is undone; its note goes once the container's new lease is surely stored. */
  end(endpoint: string): void {
    setTimeout(() => this.forget(endpoint), KEPT_FOR).unref()
  }
  forget(endpoint: string): void {
    try {
      this.#state.settings.remove(PREFIX + endpoint, { durable: false })
    } catch {
      // The state is closed already: the next daemon forgets it.
    }
  }

  /** What earlier daemons noted. */
  list(): Intent[] {
    return this.#state.settings.entries().flatMap(([key, text]) => {
      if (!key.startsWith(PREFIX)) return []
      const value: unknown = JSON.parse(text)
      return isIntent(value) ? [value] : []
    })
  }
}
