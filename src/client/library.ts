// The package's face: `import { connect } from "sloop"`, for Node and Bun, with any server that speaks the Docker Engine API.
import { existsSync } from "node:fs"
import { failure } from "../base/errors.ts"
import { EngineClient, type Tls } from "./client.ts"
import { Engine } from "./library/engine.ts"

export { type ErrorKind, Failure } from "../base/errors.ts"
export type { ContainerInspect, ContainerSummary } from "../wire/container.ts"
export type { ImageInspect, ImageSummary, ProgressLine } from "../wire/image.ts"
export type { StatsView } from "../wire/stats.ts"
export type { EventView, NetworkView, VersionView, VolumeView } from "../wire/system.ts"
export { ApiFailure, type CallOptions, type Query, type Tls } from "./client.ts"
export { Build, type BuildInPlaceOptions, type BuildProgress, type BuildResult } from "./library/builds.ts"
export {
  type Abortable,
  type Attached,
  type Chunk,
  Container,
  type ExecOptions,
  type ExecResult,
  type LogsOptions,
} from "./library/container.ts"
export {
  type Account,
  type BuildOptions,
  type ContainerOptions,
  Containers,
  Engine,
  type EventsOptions,
  type Filters,
  Images,
  Networks,
  Volumes,
} from "./library/engine.ts"

export interface ConnectOptions {
  /** `unix:///path`, `tcp://host:port` or `ssh://[user@]host`; else SLOOP_HOST, DOCKER_HOST, or the socket found here. */
  readonly host?: string
  readonly tls?: Tls
  /** The newest version of the API to speak, as "1.44"; the engine's own may be lower. */
  readonly version?: string
  readonly signal?: AbortSignal
}

const newest = "1.50"
const sockets = ["/run/sloop/sloop.sock", "/var/run/docker.sock"]

const defaultHost = (): string =>
  process.env.SLOOP_HOST ||
  process.env.DOCKER_HOST ||
  `unix://${sockets.find((path) => existsSync(path)) ?? sockets[0]}`

const numberOf = (version: string): number => Number(/^1\.(\d+)$/.exec(version)?.[1] ?? Number.NaN)

/**
 * Connects to an engine and agrees with it on a version of the API.
 * Throws Failure "unavailable" when none answers, "invalid" for a host or version that cannot be understood.
 */
export async function connect(options: ConnectOptions = {}): Promise<Engine> {
  const host = options.host ?? defaultHost()
  const { tls, signal, version = newest } = options
  if (Number.isNaN(numberOf(version)))
    throw failure("invalid", `no version of the API is called "${version}": use one as "1.44"`)
  const asking = new EngineClient(host, { version: "", tls })
  try {
    const { headers, body } = await asking.send("GET", "/_ping", { signal })
    for await (const _ of body);
    const theirs = headers["api-version"] ?? newest
    return new Engine(
      new EngineClient(host, { version: numberOf(theirs) < numberOf(version) ? theirs : version, tls }),
    )
  } finally {
    asking.close()
  }
}
