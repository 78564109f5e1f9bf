// Sessions: connections over which a client offers its files, credentials, secrets and agents while it builds.
import type { Duplex } from "node:stream"
import { failure } from "../../../base/errors.ts"
import { GrpcConnection } from "../grpc/client.ts"

/** What a client says of its session as it opens it. */
export interface Announcement {
  readonly id: string
  readonly name: string
  /** The same for builds that share synced directories. */
  readonly sharedKey: string
  /** "/moby.filesync.v1.FileSync/DiffCopy" … */
  readonly methods: readonly string[]
}

export interface Session extends Announcement {
  readonly connection: GrpcConnection
  supports(method: string): boolean
}

/** Milliseconds that a build waits for a session that it names. */
const PATIENCE = 5000
const LONGEST_ID = 256
const MOST_METHODS = 1000

export class Sessions {
  readonly #open = new Map<string, Session>()
  readonly #awaited = new Map<string, Set<(session: Session) => void>>()

  /** Takes a session in whose connection is raw from now on. Throws conflict when its id is taken, invalid for a bad one. */
  admit(announced: Announcement): void {
    const { id, methods } = announced
    if (id === "" || id.length > LONGEST_ID) throw failure("invalid", "a session needs an id")
    if (methods.length > MOST_METHODS) throw failure("invalid", "a session offers too many methods")
    if (this.#open.has(id)) throw failure("conflict", `session ${id} already exists`)
  }

  /** Holds the session until its connection ends. */
  open(announced: Announcement, socket: Duplex): Session {
    const offered = new Set(announced.methods.map((method) => method.toLowerCase()))
    const connection = new GrpcConnection(socket)
    const session: Session = {
      ...announced,
      connection,
      supports: (method) => offered.has(method.toLowerCase()),
    }
    this.#open.set(announced.id, session)
    connection.gone.addEventListener("abort", () => {
      if (this.#open.get(announced.id) === session) this.#open.delete(announced.id)
    })
    for (const tell of this.#awaited.get(announced.id) ?? []) tell(session)
    this.#awaited.delete(announced.id)
    return session
  }

  /** The session of that id, waited for a few seconds: clients open it beside their request. */
  async get(id: string, signal: AbortSignal): Promise<Session> {
    const open = this.#open.get(id)
    if (open !== undefined) return open
    signal.throwIfAborted()
    return await new Promise<Session>((resolve, reject) => {
      const waiting = this.#awaited.get(id) ?? new Set()
      this.#awaited.set(id, waiting)
      const finish = () => {
        clearTimeout(timer)
        signal.removeEventListener("abort", cancel)
        waiting.delete(tell)
        if (waiting.size === 0 && this.#awaited.get(id) === waiting) this.#awaited.delete(id)
      }
      const tell = (session: Session) => {
        finish()
        resolve(session)
      }
      const cancel = () => {
        finish()
        reject(signal.reason)
      }
      const timer = setTimeout(() => {
        finish()
        reject(failure("not-found", `no active session for ${id}: context deadline exceeded`))
      }, PATIENCE)
      signal.addEventListener("abort", cancel)
      waiting.add(tell)
    })
  }

  close(): void {
    for (const { connection } of this.#open.values()) connection.close()
  }
}

/** A session's announcement in a request's headers or a call's metadata. */
export function announcement(values: (header: string) => readonly string[]): Announcement {
  const one = (name: string) => values(`x-docker-expose-session-${name}`)[0] ?? ""
  return {
    id: one("uuid"),
    name: one("name"),
    sharedKey: one("sharedkey"),
    methods: values("x-docker-expose-session-grpc-method"),
  }
}
