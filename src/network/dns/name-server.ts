// Contract. The engine's name server: containers' monitors relay to it what is asked at 127.0.0.11.
import { chmodSync, rmSync } from "node:fs"
import { createServer, type Server, type Socket } from "node:net"
import { failure } from "../../base/errors.ts"
import { Limiter } from "../../base/limiter.ts"
import { hostResolver, PUBLIC_SERVERS } from "../files/resolv-conf.ts"
import { Asker } from "./asker.ts"
import { answerFrame, FrameReader, passFrame } from "./frames.ts"
import { Inside, isInside } from "./inside.ts"
import { type NamedEndpoint, Names } from "./names.ts"
import { NAME_SERVER_ADDRESS } from "./redirect.ts"
import { MOST_FOR_ONE, Upstreams } from "./upstream.ts"

/** Where a container's queries go that no container answers. */
export interface Upstream {
  /** Addresses given with --dns; empty = the host's own servers. */
  readonly servers: readonly string[]
  /** Whether `ndots` was set by the user or the host: names of one label are then not asked upstream (as Docker has it). */
  readonly ndotsSet: boolean
}

export interface NameServer {
  /** Path of the unix socket that monitors relay to: Attachment.nameRelay. */
  readonly path: string
  /** Adds a container's endpoint on a user-defined network, or puts it in place of what was known of it there. */
  put(endpoint: NamedEndpoint): void
  /** Takes a container's endpoint off a network; with no network named, forgets the container and its upstream. Idempotent. */
  remove(containerId: string, networkId?: string): void
  /** Sets where a container's other queries go; without this: the host's servers, ndots not set. */
  setUpstream(containerId: string, upstream: Upstream): void
  /**
   * Listens at the path. Call it once everything known is put: monitors that waited for the daemon ask at once.
   * Throws Failure "unavailable" when the socket cannot be made.
   */
  open(): Promise<void>
  /** Stops listening and lets go of connections; monitors keep queries and come back to the next daemon. */
  close(): Promise<void>
}

export interface NameServerOptions {
  /** Absolute path of the socket, at most 107 bytes, in a directory that only root may enter. */
  readonly path: string
  /** What a person should know and nothing else tells. */
  readonly warn?: (message: string) => void
  /** The host's own servers, asked for with each query; otherwise those of its resolv.conf. */
  readonly hostServers?: () => readonly string[]
}

/** See {@link NameServer}. Nothing is touched before open(). */
export const nameServer = (options: NameServerOptions): NameServer => new RelayedNameServer(options)

/** The path of a unix socket, with the byte that ends it. */
const LONGEST_PATH = 107
/** Bytes that a monitor has not taken: nothing more is read from it until it has. */
const HIGH_WATER = 1 << 20

const hostServers = (): (() => readonly string[]) => {
  const settings = hostResolver()
  return () => {
    const { servers } = settings()
    return servers.length > 0 ? servers : PUBLIC_SERVERS
  }
}

/** A monitor's connection. */
interface Client {
  readonly asker: Asker
  readonly containerId: string
  /** Of what others are asked for it. */
  readonly limiter: Limiter
  readonly inside: Inside
}

class RelayedNameServer implements NameServer {
  readonly path: string
  readonly #names = new Names()
  readonly #upstream = new Map<string, Upstream>()
  readonly #hostServers: () => readonly string[]
  readonly #warn: (message: string) => void
  readonly #sockets = new Set<Socket>()
  #asked = new Upstreams()
  #server: Server | undefined

  constructor(options: NameServerOptions) {
    this.path = options.path
    this.#hostServers = options.hostServers ?? hostServers()
    this.#warn = options.warn ?? (() => {})
  }

  put(endpoint: NamedEndpoint): void {
    this.#names.put(endpoint)
  }

  remove(containerId: string, networkId?: string): void {
    this.#names.remove(containerId, networkId)
    if (networkId === undefined) this.#upstream.delete(containerId)
  }

  setUpstream(containerId: string, upstream: Upstream): void {
    this.#upstream.set(containerId, upstream)
  }

  async open(): Promise<void> {
    if (Buffer.byteLength(this.path) > LONGEST_PATH)
      throw failure(
        "unavailable",
        `the name server's socket ${this.path} has a path of more than ${LONGEST_PATH} bytes`,
      )
    this.#asked = new Upstreams()
    // Of a daemon that was killed; an engine has one daemon at a time.
    rmSync(this.path, { force: true })
    const server = createServer((socket) => this.#serve(socket))
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) =>
        reject(failure("unavailable", `the name server cannot listen at ${this.path}`, { cause: error })),
      )
      server.listen(this.path, resolve)
    })
    chmodSync(this.path, 0o600)
    server.on("error", (error) => this.#warn(`the name server is in trouble: ${error.message}`))
    this.#server = server
  }

  async close(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    this.#asked.close()
    for (const socket of this.#sockets) socket.destroy()
    if (server) await new Promise<void>((resolve) => server.close(() => resolve()))
  }

  #serve(socket: Socket): void {
    const reader = new FrameReader()
    const inside = new Inside((server, query) => send(socket, passFrame(server, query)))
    const limiter = new Limiter(MOST_FOR_ONE)
    let client: Client | undefined
    this.#sockets.add(socket)
    socket.on("error", () => socket.destroy())
    socket.on("close", () => this.#sockets.delete(socket))
    socket.on("drain", () => socket.resume())
    socket.on("data", (chunk: Buffer) => {
      const frames = reader.read(chunk)
      if (!frames) return void socket.destroy()
      const answers: Buffer[] = []
      for (const frame of frames)
        if (frame.kind === "hello") {
          const { containerId } = frame
          client = { asker: new Asker(this.#names, containerId), containerId, limiter, inside }
        } else if (frame.kind === "passed") {
          inside.heard(frame.server, frame.bytes)
          answers.push(answerFrame(frame.ticket))
        } else if (client) {
          const answer = this.#answer(client, frame.bytes, frame.tcp)
          if (Buffer.isBuffer(answer)) answers.push(answerFrame(frame.ticket, answer))
          else if (!answer) answers.push(answerFrame(frame.ticket))
          else void answer.then((bytes) => send(socket, answerFrame(frame.ticket, bytes)))
        }
      if (answers.length > 0) send(socket, Buffer.concat(answers))
    })
  }

  /** At once when nobody else must be asked; undefined = no answer. */
  #answer(client: Client, bytes: Buffer, tcp: boolean): Buffer | Promise<Buffer> | undefined {
    const { asker, containerId, limiter, inside } = client
    const upstream = this.#upstream.get(containerId)
    const outcome = asker.take(bytes, tcp, upstream?.ndotsSet ?? false)
    if (!outcome || Buffer.isBuffer(outcome)) return outcome
    // Ourselves, as the container sees us: it would be a question without end.
    const asked = upstream?.servers.filter((server) => server !== NAME_SERVER_ADDRESS) ?? []
    const servers = asked.length > 0 ? asked : this.#hostServers()
    const own = asked.some(isInside)
    const whose = own ? `${containerId} ` : ""
    const known = this.#asked.known(servers, outcome, whose)
    if (known) return known
    // The packet is part of what was read: a copy outlives it.
    const query = { ...outcome, bytes: Buffer.from(outcome.bytes) }
    return limiter.run(() => this.#asked.ask(servers, query, whose, own ? inside.exchange : undefined))
  }
}

const send = (socket: Socket, bytes: Buffer): void => {
  if (socket.destroyed) return
  if (!socket.write(bytes) && socket.writableLength > HIGH_WATER) socket.pause()
}
