// Contract. The engine's name server: containers' monitors relay to it what is asked at 127.0.0.11.
import type { NamedEndpoint } from "./names.ts"

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
}
