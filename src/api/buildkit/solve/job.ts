// One build that a client asked for: its session, what its frontend solved, its progress, and how it ended.

import { failure } from "../../../base/errors.ts"
import { newId } from "../../../base/ids.ts"
import type { Builder, BuiltImage, Solved } from "../../../build/build.ts"
import type { ReturnRequest } from "../../../wire/buildkit/gateway.ts"
import type { Definition } from "../../../wire/buildkit/ops.ts"
import type { Decoded } from "../../../wire/buildkit/protobuf.ts"
import type { Session, Sessions } from "../session/sessions.ts"
import { type Attributes, missingAbility } from "./attributes.ts"
import { readDefinition } from "./definitions.ts"
import { unsupportedCapability } from "./failures.ts"
import { Progress } from "./progress.ts"
import { buildRequest, type Input } from "./request.ts"

export interface JobOptions {
  readonly ref: string
  /** undefined = the client has none. */
  readonly session: Session | undefined
  readonly entitlements: readonly string[]
  /** What a frontend may ask for by `Inputs`. */
  readonly inputs: Definitions
  /** The context as a tar, when the client sends it beside its request. */
  readonly upload?: AsyncIterable<Uint8Array> | undefined
  readonly signal: AbortSignal
}

type Returned = Decoded<typeof ReturnRequest>

/** Inputs that a client defines itself, by name. */
export type Definitions = ReadonlyMap<string, Decoded<typeof Definition> | undefined>

/** A Dockerfile build that runs once its result is wanted. */
export class Solving {
  readonly attributes: Attributes
  readonly #run: () => Promise<Solved>
  #solved: Promise<Solved> | undefined

  constructor(attributes: Attributes, run: () => Promise<Solved>) {
    this.attributes = attributes
    this.#run = run
  }

  result(): Promise<Solved> {
    this.#solved ??= this.#run()
    return this.#solved
  }

  async release(): Promise<void> {
    const solved = await this.#solved?.catch(() => undefined)
    solved?.release()
  }
}

/** A handle that clients hold: one platform of a build. */
export interface Ref {
  readonly solving: Solving
  /** Place among the images. */
  readonly index: number
}

export class Job {
  readonly ref: string
  readonly progress = new Progress()
  readonly refs = new Map<string, Ref>()
  readonly session: Session | undefined
  readonly #options: JobOptions
  readonly #builder: Builder
  readonly #jobs: Jobs
  readonly #solvings: Solving[] = []
  readonly #returned = Promise.withResolvers<Returned>()

  constructor(options: JobOptions, builder: Builder, jobs: Jobs) {
    this.ref = options.ref
    this.session = options.session
    this.#options = options
    this.#builder = builder
    this.#jobs = jobs
  }

  get signal(): AbortSignal {
    return this.#options.signal
  }

  get inputs(): Definitions {
    return this.#options.inputs
  }

  /** The client's frontend has its result, or failed. */
  returns(result: Returned): void {
    this.#returned.resolve(result)
  }

  /** What the client's frontend returned, once it has. */
  returned(): Promise<Returned> {
    const { signal } = this
    signal.throwIfAborted()
    return new Promise((resolve, reject) => {
      const cancel = () => reject(signal.reason)
      signal.addEventListener("abort", cancel, { once: true })
      this.#returned.promise.then((result) => {
        signal.removeEventListener("abort", cancel)
        resolve(result)
      })
    })
  }

  /** Prepares a Dockerfile build; nothing of it runs yet. */
  async solving(attributes: Attributes, definitions: Definitions): Promise<Solving> {
    const request = await this.request(attributes, definitions)
    const solving = new Solving(attributes, () =>
      this.#builder.solve(request, this.progress.report, this.signal),
    )
    this.#solvings.push(solving)
    return solving
  }

  /** The builder's request of attributes and inputs. */
  async request(attributes: Attributes, definitions: Definitions) {
    const missing = missingAbility(attributes)
    if (missing !== undefined) throw unsupportedCapability(missing)
    const inputs = new Map<string, Input>()
    for (const [name, definition] of definitions)
      if (definition !== undefined) inputs.set(name, await this.#input(definition))
    const others = new Map<string, Session>()
    for (const [key, id] of attributes)
      if (key.startsWith("local-sessionid:") && id !== "")
        others.set(id, await this.#jobs.sessions.get(id, this.signal))
    return buildRequest(attributes, {
      id: this.ref,
      session: this.session,
      otherSession: (id) => {
        const session = others.get(id)
        if (session === undefined) throw failure("not-found", `no active session for ${id}`)
        return session
      },
      input: (name) => inputs.get(name),
      entitlements: this.#options.entitlements,
      upload: this.#options.upload,
      signal: this.signal,
    })
  }

  /** A handle for one platform's result. */
  hand(solving: Solving, index: number): string {
    const id = newId()
    this.refs.set(id, { solving, index })
    return id
  }

  /** The image behind a handle, built if it is not yet. */
  async image(id: string): Promise<{ readonly solved: Solved; readonly image: BuiltImage }> {
    const ref = this.refs.get(id)
    if (ref === undefined) throw failure("not-found", `no such ref: ${id}`)
    const solved = await ref.solving.result()
    const image = solved.images[ref.index]
    if (image === undefined) throw failure("not-found", `no such ref: ${id}`)
    return { solved, image }
  }

  async #input(definition: Decoded<typeof Definition>): Promise<Input> {
    const defined = readDefinition(definition)
    if (defined.type !== "result") return defined
    const job = this.#jobs.holding(defined.id)
    if (job === undefined) throw failure("not-found", "the build whose result is an input has ended")
    return { type: "result", image: (await job.image(defined.id)).image }
  }

  /** Lets go of everything that was solved. */
  async release(): Promise<void> {
    await Promise.all(this.#solvings.map((solving) => solving.release()))
  }
}

/** Milliseconds that calls about a build wait for it to begin: clients send them side by side. */
const PATIENCE = 5000
/** Ended builds whose progress can still be read, and bytes of their output. */
const MOST_ENDED = 32
const MOST_ENDED_BYTES = 8 << 20

export class Jobs {
  readonly sessions: Sessions
  readonly #builder: Builder
  readonly #running = new Map<string, Job>()
  readonly #ended = new Map<string, Progress>()
  readonly #awaited = new Map<string, Set<() => void>>()

  constructor(builder: Builder, sessions: Sessions) {
    this.#builder = builder
    this.sessions = sessions
  }

  /** Runs a build under its ref until `work` settles. Throws conflict when one of that ref runs. */
  async run<T>(options: JobOptions, work: (job: Job) => Promise<T>): Promise<T> {
    const { ref } = options
    if (ref === "" || ref.length > 256) throw failure("invalid", "a build needs a ref")
    if (this.#running.has(ref)) throw failure("conflict", `job ID ${ref} exists`)
    const job = new Job(options, this.#builder, this)
    this.#running.set(ref, job)
    for (const wake of this.#awaited.get(ref) ?? []) wake()
    this.#awaited.delete(ref)
    try {
      return await work(job)
    } finally {
      this.#running.delete(ref)
      job.progress.end()
      this.#keep(ref, job.progress)
      await job.release()
      job.refs.clear()
    }
  }

  /** A build that runs; waited for a little. Throws not-found. */
  async running(ref: string, signal: AbortSignal): Promise<Job> {
    const job = this.#running.get(ref) ?? (this.#ended.has(ref) ? undefined : await this.#wait(ref, signal))
    if (job === undefined) throw failure("not-found", `no such job ${ref}`)
    return job
  }

  /** The progress of a build that runs, or of one of the last that ended. */
  async progress(ref: string, signal: AbortSignal): Promise<Progress> {
    const running = this.#running.get(ref)?.progress
    return running ?? this.#ended.get(ref) ?? (await this.running(ref, signal)).progress
  }

  /** Whether it has ended, and its progress is kept. */
  isKept(ref: string): boolean {
    return this.#ended.has(ref)
  }

  /** The running build that handed this handle out. */
  holding(id: string): Job | undefined {
    for (const job of this.#running.values()) if (job.refs.has(id)) return job
    return undefined
  }

  /** Remembers a progress among the last; the oldest go first. */
  #keep(ref: string, progress: Progress): void {
    this.#ended.delete(ref)
    this.#ended.set(ref, progress)
    let bytes = 0
    for (const one of this.#ended.values()) bytes += one.bytes
    for (const [old, { bytes: less }] of this.#ended) {
      if (old === ref || (this.#ended.size <= MOST_ENDED && bytes <= MOST_ENDED_BYTES)) break
      this.#ended.delete(old)
      bytes -= less
    }
  }

  #wait(ref: string, signal: AbortSignal): Promise<Job | undefined> {
    return new Promise((resolve) => {
      const waiting = this.#awaited.get(ref) ?? new Set()
      this.#awaited.set(ref, waiting)
      const finish = () => {
        clearTimeout(timer)
        signal.removeEventListener("abort", finish)
        waiting.delete(finish)
        if (waiting.size === 0 && this.#awaited.get(ref) === waiting) this.#awaited.delete(ref)
        resolve(this.#running.get(ref))
      }
      const timer = setTimeout(finish, PATIENCE)
      signal.addEventListener("abort", finish)
      waiting.add(finish)
    })
  }
}
