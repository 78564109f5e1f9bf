// A client's directories over its session: entries as they come, contents of those that are asked for, nothing else.
import { failure } from "../../../base/errors.ts"
import type { FileSync, SyncedEntry } from "../../../build/build.ts"
import { type Decoded, WireError } from "../../../wire/buildkit/protobuf.ts"
import { PACKET, Packet, type Stat } from "../../../wire/buildkit/session.ts"
import type { ClientCall } from "../grpc/client.ts"
import { GrpcFailure } from "../grpc/status.ts"
import { EntryOrder } from "./entry-order.ts"
import { posixMode } from "./file-mode.ts"
import { headerValues } from "./header-values.ts"
import type { Session } from "./sessions.ts"

const METHOD = "/moby.filesync.v1.FileSync/DiffCopy"

/** Entries and bytes that wait for their reader before the client is asked to wait. */
const MOST_ENTRIES = 4096
const MOST_BYTES = 4 << 20

type PacketStream = ClientCall<Decoded<typeof Packet>, Decoded<typeof Packet>>

/** The files that a session offers. Not-found in BuildKit's words when it offers none of that name. */
export const sessionFiles = (session: Session): FileSync => ({
  async *entries(name, { include, exclude, follow }, signal) {
    if (!session.supports(METHOD)) throw failure("invalid", "no local sources enabled")
    const ending = new AbortController()
    const call = session.connection.call(METHOD, Packet, Packet, {
      metadata: {
        ...headerValues("dir-name", [name]),
        ...headerValues("include-patterns", include),
        ...headerValues("exclude-patterns", exclude),
        ...headerValues("followpaths", follow),
      },
      signal: AbortSignal.any([signal, ending.signal, session.connection.gone]),
    })
    const transfer = new Transfer(call)
    try {
      yield* transfer.entries()
    } catch (error) {
      signal.throwIfAborted()
      throw error
    } finally {
      ending.abort()
    }
  },
})

/** One file whose bytes were asked for. */
class Opened {
  readonly chunks: Uint8Array[] = []
  done = false
}

class Transfer {
  readonly #call: PacketStream
  readonly #order = new EntryOrder()
  readonly #entries: SyncedEntry[] = []
  readonly #opened = new Map<number, Opened>()
  #count = 0
  /** Path that was listed last. */
  #last = ""
  /** Bytes of opened files that nobody has read yet. */
  #bytes = 0
  /** Readers that wait for bytes of an opened file. */
  #hungry = 0
  #listed = false
  #failure: unknown
  #wakers: (() => void)[] = []

  constructor(call: PacketStream) {
    this.#call = call
    this.#pump().catch((error) => {
      this.#failure ??= this.#explained(error)
      this.#wake()
    })
  }

  async *entries(): AsyncGenerator<SyncedEntry> {
    for (;;) {
      const entry = this.#entries.shift()
      if (entry !== undefined) {
        if (this.#entries.length === MOST_ENTRIES - 1) this.#wake()
        yield entry
        continue
      }
      this.#check()
      if (this.#listed) break
      await this.#change()
    }
    // Whoever opened a file while entries came may still be reading it.
    while (this.#opened.size > 0) {
      this.#check()
      await this.#change()
    }
    await this.#call.send({ type: PACKET.end })
    this.#call.end()
  }

  async #pump(): Promise<void> {
    for (;;) {
      while (this.#isFull()) await this.#change()
      const packet = await this.#call.receive()
      if (packet === undefined) {
        if (!this.#listed || this.#opened.size > 0)
          throw failure("unavailable", "the client ended the transfer of files before it was complete")
        return
      }
      this.#take(packet)
      this.#wake()
    }
  }

  /** Names that are no text are the one thing that honest clients send and that cannot be read. */
  #explained(error: unknown): unknown {
    if (!(error instanceof GrpcFailure && error.cause instanceof WireError)) return error
    const after = this.#last === "" ? "" : ` after ${JSON.stringify(this.#last)}`
    const message = `the client lists a file${after} whose name cannot be read (${error.cause.message}): rename it, or keep it away by .dockerignore`
    return failure("invalid", message, { cause: error })
  }

  #isFull(): boolean {
    return this.#hungry === 0 && (this.#entries.length >= MOST_ENTRIES || this.#bytes > MOST_BYTES)
  }

  #take({ type, stat, id, data }: Decoded<typeof Packet>): void {
    if (type === PACKET.error)
      throw failure("invalid", `error from sender: ${Buffer.from(data).toString().slice(0, 4096)}`)
    if (type === PACKET.stat) {
      if (this.#listed) throw failure("invalid", "the client lists files after the end of its list")
      if (stat === undefined) this.#listed = true
      else this.#entries.push(this.#entry(stat, this.#count++))
    } else if (type === PACKET.data) {
      const opened = this.#opened.get(id)
      if (opened === undefined || opened.done) throw failure("invalid", `invalid file request ${id}`)
      if (data.length === 0) opened.done = true
      else {
        opened.chunks.push(data)
        this.#bytes += data.length
      }
    } else if (type !== PACKET.end) throw failure("invalid", `the client sends packets of type ${type}`)
  }

  #entry(stat: Decoded<typeof Stat>, id: number): SyncedEntry {
    const mode = posixMode(stat.mode)
    this.#order.check(stat.path, mode)
    this.#last = stat.path
    const isFile = (mode & 0o170000) === 0o100000
    return {
      path: stat.path,
      mode,
      uid: stat.uid,
      gid: stat.gid,
      size: isFile && stat.linkname === "" ? Math.max(0, stat.size) : 0,
      mtime: stat.modTime,
      link: stat.linkname,
      xattrs: stat.xattrs,
      open: () => this.#open(id, stat.path, isFile && stat.linkname === ""),
    }
  }

  async *#open(id: number, path: string, isFile: boolean): AsyncGenerator<Uint8Array> {
    if (!isFile) throw failure("invalid", `${path} has no contents of its own`)
    if (this.#opened.has(id)) throw failure("invalid", `${path} is being read already`)
    const opened = new Opened()
    this.#opened.set(id, opened)
    try {
      await this.#call.send({ type: PACKET.request, id })
      for (;;) {
        const chunk = opened.chunks.shift()
        if (chunk !== undefined) {
          this.#bytes -= chunk.length
          this.#wake()
          yield chunk
          continue
        }
        if (opened.done) return
        this.#check()
        this.#hungry++
        // The pump may be held back by bytes that others leave lying.
        this.#wake()
        try {
          await this.#change()
        } finally {
          this.#hungry--
        }
      }
    } finally {
      if (opened.done) {
        for (const chunk of opened.chunks) this.#bytes -= chunk.length
        this.#opened.delete(id)
        this.#wake()
      } else {
        // Its bytes keep coming: nothing of this transfer can be used any more.
        this.#failure ??= failure("cancelled", `reading ${path} was given up`)
        this.#call.cancel()
        this.#wake()
      }
    }
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wakers.push(resolve)
    })
  }

  #wake(): void {
    const wakers = this.#wakers
    this.#wakers = []
    for (const wake of wakers) wake()
  }
}
