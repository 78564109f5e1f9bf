// One container of an engine, as a thing to act on.
import { failure } from "../../base/errors.ts"
import type { ContainerInspect, ExecInspect, WaitResponse } from "../../wire/container.ts"
import type { StatsView } from "../../wire/stats.ts"
import { type Connection, Demultiplexer, type EngineClient, readLines, readText } from "../client.ts"

/** Ends whatever is under way when it is aborted. */
export interface Abortable {
  readonly signal?: AbortSignal | undefined
}

/** A piece of a container's output. */
export interface Chunk {
  readonly stream: "stdout" | "stderr"
  readonly bytes: Uint8Array
  /** The bytes as UTF-8; a character may be cut at a piece's end. */
  readonly text: string
}

export interface LogsOptions extends Abortable {
  /** Go on with what comes until the container ends. */
  readonly follow?: boolean
  /** Only the last lines. */
  readonly tail?: number
  /** Seconds since 1970, or a date. */
  readonly since?: number | Date
  readonly until?: number | Date
  readonly timestamps?: boolean
}

export interface ExecOptions extends Abortable {
  readonly env?: Readonly<Record<string, string>>
  readonly user?: string
  readonly workingDir?: string
  readonly privileged?: boolean
  /** What the command reads. */
  readonly input?: string | Uint8Array
}

export interface ExecResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** Both directions of a container's standard streams. */
export interface Attached {
  readonly output: AsyncIterable<Chunk>
  write(bytes: string | Uint8Array): Promise<void>
  /** Says that nothing more is written. */
  end(): void
  close(): void
}

const seconds = (time: number | Date | undefined): string | undefined =>
  time === undefined ? undefined : String(time instanceof Date ? time.getTime() / 1000 : time)

const chunk = (stream: Chunk["stream"], bytes: Buffer): Chunk => ({
  stream,
  bytes,
  get text() {
    return bytes.toString("utf8")
  },
})

async function* chunksOf(body: AsyncIterable<Buffer>, framed: boolean): AsyncGenerator<Chunk> {
  const frames = new Demultiplexer()
  for await (const bytes of body) {
    if (!framed) yield chunk("stdout", bytes)
    else for (const part of frames.split(bytes)) yield chunk(part.to, part.bytes)
  }
}

async function* bytesOf(connection: Connection, close: () => void): AsyncGenerator<Buffer> {
  try {
    for (let bytes = await connection.read(); bytes; bytes = await connection.read()) yield bytes
  } finally {
    close()
  }
}

/** A container by its id; made by `Engine.containers`. With `await using` it is removed at the end of the block. */
export class Container implements AsyncDisposable {
  readonly id: string
  readonly #client: EngineClient

  constructor(client: EngineClient, id: string) {
    this.#client = client
    this.id = id
  }

  #path(rest: string): string {
    return `/containers/${encodeURIComponent(this.id)}${rest}`
  }

  async #post(
    rest: string,
    query: Record<string, string | number | boolean | undefined>,
    options: Abortable,
  ) {
    await this.#client
      .call("POST", this.#path(rest), { query, signal: options.signal })
      .catch((error: unknown) => {
        // 304: it is so already.
        if (!(error instanceof Error && "status" in error && error.status === 304)) throw error
      })
  }

  /** Everything the engine knows of it. */
  inspect(options: Abortable = {}): Promise<ContainerInspect> {
    return this.#client.json("GET", this.#path("/json"), options)
  }

  /** Starts it; nothing happens when it runs already. */
  start(options: Abortable = {}): Promise<void> {
    return this.#post("/start", {}, options)
  }

  /** Asks it to end, and kills it after `timeout` seconds. */
  stop(options: Abortable & { readonly timeout?: number } = {}): Promise<void> {
    return this.#post("/stop", { t: options.timeout }, options)
  }

  restart(options: Abortable & { readonly timeout?: number } = {}): Promise<void> {
    return this.#post("/restart", { t: options.timeout }, options)
  }

  kill(options: Abortable & { readonly signalName?: string } = {}): Promise<void> {
    return this.#post("/kill", { signal: options.signalName }, options)
  }

  pause(options: Abortable = {}): Promise<void> {
    return this.#post("/pause", {}, options)
  }

  unpause(options: Abortable = {}): Promise<void> {
    return this.#post("/unpause", {}, options)
  }

  rename(name: string, options: Abortable = {}): Promise<void> {
    return this.#post("/rename", { name }, options)
  }

  /** Resolves with the exit code once it has ended; `condition` as Docker's: "not-running" (default), "next-exit", "removed". */
  async wait(
    options: Abortable & { readonly condition?: "not-running" | "next-exit" | "removed" } = {},
  ): Promise<number> {
    const query = { condition: options.condition }
    const answer = await this.#client.json<WaitResponse>("POST", this.#path("/wait"), {
      query,
      signal: options.signal,
    })
    if (answer.Error?.Message) throw failure("internal", answer.Error.Message)
    return answer.StatusCode
  }

  /** Removes it; with `force` even when it runs, with `volumes` also its nameless volumes. */
  async remove(
    options: Abortable & { readonly force?: boolean; readonly volumes?: boolean } = {},
  ): Promise<void> {
    const query = { force: options.force, v: options.volumes }
    await this.#client.call("DELETE", this.#path(""), { query, signal: options.signal })
  }

  /** Its output so far, and with `follow` what comes. */
  async *logs(options: LogsOptions = {}): AsyncGenerator<Chunk> {
    const { Config } = await this.inspect(options)
    const query = {
      stdout: true,
      stderr: true,
      follow: options.follow,
      tail: options.tail,
      since: seconds(options.since),
      until: seconds(options.until),
      timestamps: options.timestamps,
    }
    const { body } = await this.#client.send("GET", this.#path("/logs"), { query, signal: options.signal })
    yield* chunksOf(body, !Config.Tty)
  }

  /** What it uses of the machine, about once a second until it is left. */
  async *stats(options: Abortable = {}): AsyncGenerator<StatsView> {
    const { body } = await this.#client.send("GET", this.#path("/stats"), {
      query: { stream: true },
      ...options,
    })
    yield* readLines<StatsView>(body)
  }

  /** Joins its standard streams; ask before `start` to miss nothing. */
  async attach(options: Abortable = {}): Promise<Attached> {
    const { Config } = await this.inspect(options)
    const query = { stream: true, stdin: true, stdout: true, stderr: true }
    return this.#join(
      await this.#client.hijack(this.#path("/attach"), { query, signal: options.signal }),
      Config.Tty,
      options,
    )
  }

  #join({ socket }: { socket: Connection }, tty: boolean, { signal }: Abortable): Attached {
    const abort = () => socket.close(signal?.reason)
    signal?.addEventListener("abort", abort)
    const close = () => {
      signal?.removeEventListener("abort", abort)
      socket.close()
    }
    return {
      output: chunksOf(bytesOf(socket, close), !tty),
      write: (bytes) => socket.write(bytes),
      end: () => socket.endWriting(),
      close,
    }
  }

  /** Runs a command in it to its end. */
  async exec(command: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    const { signal, input, env } = options
    const { Id } = await this.#client.json<{ Id: string }>("POST", this.#path("/exec"), {
      signal,
      body: {
        Cmd: command,
        AttachStdin: input !== undefined,
        AttachStdout: true,
        AttachStderr: true,
        Env: env && Object.entries(env).map(([name, value]) => `${name}=${value}`),
        User: options.user,
        WorkingDir: options.workingDir,
        Privileged: options.privileged,
      },
    })
    const body = { Detach: false, Tty: false }
    const joined = this.#join(
      await this.#client.hijack(`/exec/${Id}/start`, { body, signal }),
      false,
      options,
    )
    if (input !== undefined) await joined.write(input)
    joined.end()
    const said: Record<Chunk["stream"], Uint8Array[]> = { stdout: [], stderr: [] }
    for await (const { stream, bytes } of joined.output) said[stream].push(bytes)
    const { ExitCode } = await this.#client.json<ExecInspect>("GET", `/exec/${Id}/json`, { signal })
    return {
      exitCode: ExitCode ?? -1,
      stdout: Buffer.concat(said.stdout).toString("utf8"),
      stderr: Buffer.concat(said.stderr).toString("utf8"),
    }
  }

  /** A tar archive of what lies at a path in it. */
  async *getArchive(path: string, options: Abortable = {}): AsyncGenerator<Uint8Array> {
    const { body } = await this.#client.send("GET", this.#path("/archive"), { query: { path }, ...options })
    yield* body
  }

  /** Unpacks a tar archive into a directory in it. */
  async putArchive(path: string, archive: AsyncIterable<Uint8Array>, options: Abortable = {}): Promise<void> {
    await this.#client.call("PUT", this.#path("/archive"), { query: { path }, stream: archive, ...options })
  }

  /** Its processes, by the columns of ps. */
  async top(options: Abortable & { readonly psArguments?: string } = {}): Promise<Record<string, string>[]> {
    const query = { ps_args: options.psArguments }
    const { body } = await this.#client.send("GET", this.#path("/top"), { query, signal: options.signal })
    const { Titles, Processes } = JSON.parse(await readText(body)) as {
      Titles: string[]
      Processes: string[][] | null
    }
    return (Processes ?? []).map((row) =>
      Object.fromEntries(Titles.map((title, at) => [title, row[at] ?? ""])),
    )
  }

  /** Removes it by force with its nameless volumes; one that is gone already is well. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove({ force: true, volumes: true }).catch((error: unknown) => {
      const status = error instanceof Error && "status" in error ? error.status : undefined
      if (status !== 404 && status !== 409) throw error // 409: its own removal is under way
    })
  }
}
