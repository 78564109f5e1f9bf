// An engine and what it has: containers, images, networks, volumes, events.
import { failure } from "../../base/errors.ts"
import type { ContainerSummary, CreateResponse } from "../../wire/container.ts"
import type { ImageDeleteEntry, ImageInspect, ImageSummary, ProgressLine } from "../../wire/image.ts"
import type { EventView, NetworkView, VersionView, VolumeView } from "../../wire/system.ts"
import { type CallOptions, type EngineClient, readLines } from "../client.ts"
import { Build, type BuildInPlaceOptions } from "./builds.ts"
import { type Abortable, Container } from "./container.ts"

/** Docker's filters: `{ label: ["a=b"], status: ["running"] }`. */
export type Filters = Readonly<Record<string, readonly string[]>>

/** What a container is made of. `more` and `host` are Docker's own fields, for all that has no name here. */
export interface ContainerOptions {
  readonly image: string
  readonly command?: readonly string[]
  readonly entrypoint?: readonly string[]
  readonly name?: string
  readonly env?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly workingDir?: string
  readonly user?: string
  readonly tty?: boolean
  /** Keeps standard input open for `attach`. */
  readonly stdin?: boolean
  /** Ports of the container ("80", "53/udp") to ports of this machine; 0 is any. */
  readonly ports?: Readonly<Record<string, number>>
  /** As `-v`: "/here:/there:ro", "volume:/there". */
  readonly binds?: readonly string[]
  readonly network?: string
  /** Bytes. */
  readonly memory?: number
  readonly cpus?: number
  /** Removed by the engine when it ends. */
  readonly autoRemove?: boolean
  readonly restart?: "no" | "always" | "on-failure" | "unless-stopped"
  readonly more?: Readonly<Record<string, unknown>>
  readonly host?: Readonly<Record<string, unknown>>
}

const portName = (port: string): string => (port.includes("/") ? port : `${port}/tcp`)

function createBody(options: ContainerOptions): Record<string, unknown> {
  const ports = Object.entries(options.ports ?? {})
  return {
    Image: options.image,
    Cmd: options.command,
    Entrypoint: options.entrypoint,
    Env: options.env && Object.entries(options.env).map(([name, value]) => `${name}=${value}`),
    Labels: options.labels,
    WorkingDir: options.workingDir,
    User: options.user,
    Tty: options.tty,
    OpenStdin: options.stdin,
    StdinOnce: options.stdin,
    ExposedPorts: Object.fromEntries(ports.map(([port]) => [portName(port), {}])),
    ...options.more,
    HostConfig: {
      Binds: options.binds,
      PortBindings: Object.fromEntries(
        ports.map(([port, own]) => [portName(port), [{ HostPort: own === 0 ? "" : String(own) }]]),
      ),
      NetworkMode: options.network,
      Memory: options.memory,
      NanoCpus: options.cpus && Math.round(options.cpus * 1e9),
      AutoRemove: options.autoRemove,
      RestartPolicy: options.restart && { Name: options.restart },
      ...options.host,
    },
  }
}

export class Containers {
  readonly #client: EngineClient
  constructor(client: EngineClient) {
    this.#client = client
  }

  /** Running ones, or `all`. */
  list(
    options: Abortable & { readonly all?: boolean; readonly filters?: Filters } = {},
  ): Promise<ContainerSummary[]> {
    const query = { all: options.all, filters: options.filters }
    return this.#client.json("GET", "/containers/json", { query, signal: options.signal })
  }

  /** By id or name; whether it exists shows when it is used. */
  get(idOrName: string): Container {
    return new Container(this.#client, idOrName)
  }

  /** Makes one without starting it. */
  async create(options: ContainerOptions, { signal }: Abortable = {}): Promise<Container> {
    const query = { name: options.name }
    const body = createBody(options)
    const { Id } = await this.#client.json<CreateResponse>("POST", "/containers/create", {
      query,
      body,
      signal,
    })
    return new Container(this.#client, Id)
  }

  /** Makes and starts one; it is removed again when it does not start. */
  async run(options: ContainerOptions, abortable: Abortable = {}): Promise<Container> {
    const container = await this.create(options, abortable)
    try {
      await container.start(abortable)
    } catch (error) {
      await container[Symbol.asyncDispose]().catch(() => undefined)
      throw error
    }
    return container
  }
}

/** Lines of progress; one that tells an error ends them with it. */
async function* progress(
  client: EngineClient,
  path: string,
  options: CallOptions,
): AsyncGenerator<ProgressLine> {
  const { body } = await client.send("POST", path, options)
  for await (const line of readLines<ProgressLine>(body)) {
    if (line.error !== undefined) throw failure("internal", line.errorDetail?.message ?? line.error)
    yield line
  }
}

/** A registry's account. */
export interface Account {
  readonly username: string
  readonly password: string
  readonly serveraddress?: string
}

const accountHeader = (account: Account | undefined): Record<string, string> =>
  account ? { "X-Registry-Auth": Buffer.from(JSON.stringify(account)).toString("base64url") } : {}

export interface BuildOptions extends Abortable {
  /** Name of the image. */
  readonly tag?: string
  readonly dockerfile?: string
  readonly buildArguments?: Readonly<Record<string, string>>
  readonly target?: string
  readonly noCache?: boolean
  readonly platform?: string
}

export class Images {
  readonly #client: EngineClient
  constructor(client: EngineClient) {
    this.#client = client
  }

  list(
    options: Abortable & { readonly all?: boolean; readonly filters?: Filters } = {},
  ): Promise<ImageSummary[]> {
    const query = { all: options.all, filters: options.filters }
    return this.#client.json("GET", "/images/json", { query, signal: options.signal })
  }

  inspect(name: string, options: Abortable = {}): Promise<ImageInspect> {
    return this.#client.json("GET", `/images/${encodeURIComponent(name)}/json`, options)
  }

  /** Pulls while its progress is read; read it to the end. */
  pull(
    reference: string,
    options: Abortable & { readonly platform?: string; readonly account?: Account } = {},
  ): AsyncGenerator<ProgressLine> {
    const tagged = /@|:[^/]*$/.test(reference) ? reference : `${reference}:latest`
    const query = { fromImage: tagged, platform: options.platform }
    const headers = accountHeader(options.account)
    return progress(this.#client, "/images/create", { query, headers, signal: options.signal })
  }

  /** Pushes while its progress is read. */
  push(
    reference: string,
    options: Abortable & { readonly account?: Account } = {},
  ): AsyncGenerator<ProgressLine> {
    const [, name = reference, tag] = /^(.*?)(?::([^/:]*))?$/.exec(reference) ?? []
    const headers = { "X-Registry-Auth": "e30=", ...accountHeader(options.account) }
    return progress(this.#client, `/images/${encodeURIComponent(name)}/push`, {
      query: { tag },
      headers,
      signal: options.signal,
    })
  }

  /** Builds from a tar archive of the context while its progress is read. */
  build(context: AsyncIterable<Uint8Array>, options: BuildOptions = {}): AsyncGenerator<ProgressLine> {
    const query = {
      t: options.tag,
      dockerfile: options.dockerfile,
      buildargs: options.buildArguments,
      target: options.target,
      nocache: options.noCache,
      platform: options.platform,
    }
    return progress(this.#client, "/build", { query, stream: context, signal: options.signal })
  }

  /** Takes images out of an archive that `save` made. */
  load(archive: AsyncIterable<Uint8Array>, options: Abortable = {}): AsyncGenerator<ProgressLine> {
    return progress(this.#client, "/images/load", { stream: archive, signal: options.signal })
  }

  /** An archive of the images. */
  async *save(names: readonly string[], options: Abortable = {}): AsyncGenerator<Uint8Array> {
    const { body } = await this.#client.send("GET", "/images/get", {
      query: { names },
      signal: options.signal,
    })
    yield* body
  }

  async tag(name: string, repo: string, tag = "latest", options: Abortable = {}): Promise<void> {
    await this.#client.call("POST", `/images/${encodeURIComponent(name)}/tag`, {
      query: { repo, tag },
      ...options,
    })
  }

  remove(name: string, options: Abortable & { readonly force?: boolean } = {}): Promise<ImageDeleteEntry[]> {
    const query = { force: options.force }
    return this.#client.json("DELETE", `/images/${encodeURIComponent(name)}`, {
      query,
      signal: options.signal,
    })
  }
}

export class Networks {
  readonly #client: EngineClient
  constructor(client: EngineClient) {
    this.#client = client
  }

  list(options: Abortable & { readonly filters?: Filters } = {}): Promise<NetworkView[]> {
    return this.#client.json("GET", "/networks", {
      query: { filters: options.filters },
      signal: options.signal,
    })
  }

  inspect(name: string, options: Abortable = {}): Promise<NetworkView> {
    return this.#client.json("GET", `/networks/${encodeURIComponent(name)}`, options)
  }

  /** Gives its id. `more` are Docker's own fields. */
  async create(
    name: string,
    more: Readonly<Record<string, unknown>> = {},
    options: Abortable = {},
  ): Promise<string> {
    const body = { Name: name, CheckDuplicate: true, ...more }
    return (await this.#client.json<{ Id: string }>("POST", "/networks/create", { body, ...options })).Id
  }

  async remove(name: string, options: Abortable = {}): Promise<void> {
    await this.#client.call("DELETE", `/networks/${encodeURIComponent(name)}`, options)
  }

  async connect(
    name: string,
    container: string,
    aliases: readonly string[] = [],
    options: Abortable = {},
  ): Promise<void> {
    const body = { Container: container, EndpointConfig: { Aliases: aliases } }
    await this.#client.call("POST", `/networks/${encodeURIComponent(name)}/connect`, { body, ...options })
  }

  async disconnect(
    name: string,
    container: string,
    options: Abortable & { readonly force?: boolean } = {},
  ): Promise<void> {
    const body = { Container: container, Force: options.force ?? false }
    await this.#client.call("POST", `/networks/${encodeURIComponent(name)}/disconnect`, {
      body,
      signal: options.signal,
    })
  }
}

export class Volumes {
  readonly #client: EngineClient
  constructor(client: EngineClient) {
    this.#client = client
  }

  async list(options: Abortable & { readonly filters?: Filters } = {}): Promise<VolumeView[]> {
    const query = { filters: options.filters }
    const found = await this.#client.json<{ Volumes: VolumeView[] | null }>("GET", "/volumes", {
      query,
      signal: options.signal,
    })
    return found.Volumes ?? []
  }

  inspect(name: string, options: Abortable = {}): Promise<VolumeView> {
    return this.#client.json("GET", `/volumes/${encodeURIComponent(name)}`, options)
  }

  /** Without a name the engine chooses one. */
  create(
    name?: string,
    more: Readonly<Record<string, unknown>> = {},
    options: Abortable = {},
  ): Promise<VolumeView> {
    return this.#client.json("POST", "/volumes/create", { body: { Name: name, ...more }, ...options })
  }

  async remove(name: string, options: Abortable & { readonly force?: boolean } = {}): Promise<void> {
    const query = { force: options.force }
    await this.#client.call("DELETE", `/volumes/${encodeURIComponent(name)}`, {
      query,
      signal: options.signal,
    })
  }
}

export interface EventsOptions extends Abortable {
  readonly filters?: Filters
  /** Seconds since 1970: replays from there. */
  readonly since?: number
  /** Ends there. */
  readonly until?: number
}

/** A connected engine. `close` (or `await using`) lets the program end. */
export class Engine implements AsyncDisposable {
  readonly #client: EngineClient
  readonly containers: Containers
  readonly images: Images
  readonly networks: Networks
  readonly volumes: Volumes

  constructor(client: EngineClient) {
    this.#client = client
    this.containers = new Containers(client)
    this.images = new Images(client)
    this.networks = new Networks(client)
    this.volumes = new Volumes(client)
  }

  get host(): string {
    return this.#client.host
  }

  /** The version of the API that is spoken with this engine. */
  get apiVersion(): string {
    return this.#client.version
  }

  version(options: Abortable = {}): Promise<VersionView> {
    return this.#client.json("GET", "/version", options)
  }

  info(options: Abortable = {}): Promise<Readonly<Record<string, unknown>>> {
    return this.#client.json("GET", "/info", options)
  }

  /** Builds an image from a directory of the engine's machine, or from a tar, without waiting for anything to be read. Sloop's own. */
  build(options: BuildInPlaceOptions): Build {
    return new Build(this.#client, options)
  }

  /** What happens, until it is left or aborted. */
  async *events(options: EventsOptions = {}): AsyncGenerator<EventView> {
    const query = { filters: options.filters, since: options.since, until: options.until }
    const { body } = await this.#client.send("GET", "/events", { query, signal: options.signal })
    yield* readLines<EventView>(body)
  }

  /** Any other endpoint: the path without its version, JSON both ways. */
  request<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    return this.#client.json(method, path, options)
  }

  /** Closes every connection; what is under way ends. */
  close(): void {
    this.#client.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }
}
