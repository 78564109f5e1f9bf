// The real kernel: requests to the launcher over its socket, which is started when none answers.
import { errorMessage, failure } from "../base/errors.ts"
import { type Connection, connect, isUnheard, open } from "./connection.ts"
import { Doorway } from "./doorway.ts"
import { readFeatures } from "./features.ts"
import type { Answer, Kernel, KernelFeatures, Monitor, Plan } from "./kernel.ts"
import { encodePlan, frameHeader, frameKind, maxFrameBytes, writeHeader } from "./plan.ts"
import { findMonitor, Lease, launched } from "./process.ts"
import { answerOf, failureOf } from "./reports.ts"
import { identify, isSameBinary, type LauncherPlace, launcherSocket, start, terminate } from "./start.ts"

/** Most milliseconds that the end of a launcher waits for requests under way. */
const patience = 5000
/** Milliseconds after a launch until the next one's connection is made ahead: what follows upon a launch comes first. */
const quiet = 10

/** The kernel as its owner sees it. */
export interface LauncherKernel extends Kernel {
  /** The launcher's pid, started if none answers. */
  launcherPid(): Promise<number>
  /**
   * Ends the launcher; held network namespaces go with it, monitors and containers live on. It is the last that is asked of
   * this kernel: requests under way are waited for, those that still come fail as cancelled, and none starts a launcher.
   */
  stopLauncher(): Promise<void>
}

class RealKernel implements LauncherKernel {
  readonly #place: LauncherPlace
  readonly #socket: string
  readonly #leases = new Set<Lease>()
  readonly #connections = new Set<Connection>()
  /** The next launch's: its process in the launcher waits for nothing but the plan. */
  readonly #doorway: Doorway<readonly [Connection]>
  #refilling: NodeJS.Timeout | undefined
  #launches = 0
  #starting: Promise<number> | undefined
  #features: Promise<KernelFeatures> | undefined
  /** Requests that were begun and have no end yet. */
  #underWay = 0
  #idle: (() => void) | undefined
  #closed = false

  constructor(place: LauncherPlace) {
    this.#place = place
    this.#socket = launcherSocket(place)
    this.#doorway = new Doorway(async () => [await open(this.#socket)] as const)
  }

  /** Makes sure that the launcher of this very binary answers. */
  async ready(): Promise<void> {
    const found = await identify(this.#socket)
    if (found === undefined || !isSameBinary(found.pid, this.#place.launcherBinary)) {
      if (found !== undefined) await terminate(found.pid, this.#socket)
      await this.#start()
    }
    this.#prepareLaunch()
  }

  async launcherPid(): Promise<number> {
    return (await identify(this.#socket))?.pid ?? this.#start()
  }

  async stopLauncher(): Promise<void> {
    this.#shut()
    await this.#starting?.catch(() => {})
    await this.#finished()
    const found = await identify(this.#socket)
    if (found !== undefined) await terminate(found.pid, this.#socket)
  }

  /** Resolves when nothing is under way, or after its patience. */
  async #finished(): Promise<void> {
    if (this.#underWay === 0) return
    await new Promise<void>((resolve) => {
      const late = setTimeout(resolve, patience)
      this.#idle = () => {
        clearTimeout(late)
        resolve()
      }
    })
  }

  #end(): void {
    this.#underWay--
    if (this.#underWay === 0) this.#idle?.()
  }

  features(): Promise<KernelFeatures> {
    this.#features ??= this.perform([["probe"]])
      .then(readFeatures)
      .catch((error: unknown) => {
        this.#features = undefined
        throw error
      })
    return this.#features
  }

  perform(plan: Plan, signal?: AbortSignal): Promise<Answer> {
    return this.#heard(async () => {
      const { connection, done } = await this.#open(plan, signal)
      try {
        return finalAnswer(await connection.report())
      } catch (error) {
        throw cancelledOr(error, signal)
      } finally {
        done()
      }
    })
  }

  async send(plan: Plan, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Answer> {
    const { connection, done } = await this.#open(plan, signal)
    // A report before the last byte is a failure: it ends the sending.
    let early = false
    const outcome = connection.report().finally(() => {
      early = true
    })
    outcome.catch(() => {})
    try {
      for await (const chunk of bytes) {
        for (let at = 0; at < chunk.length && !early; at += maxFrameBytes)
          await sendData(connection, chunk.subarray(at, at + maxFrameBytes))
        if (early) break
      }
      if (!early) await sendData(connection, Buffer.alloc(0))
      return finalAnswer(await outcome)
    } catch (error) {
      throw cancelledOr(error, signal)
    } finally {
      done()
    }
  }

  async *receive(plan: Plan, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const { connection, first, done } = await this.#heard(async () => {
      const opened = await this.#open(plan, signal)
      try {
        return { ...opened, first: await opened.connection.next() }
      } catch (error) {
        opened.done()
        throw cancelledOr(error, signal)
      }
    })
    try {
      for (let frame = first; ; frame = await connection.next()) {
        if (frame === undefined)
          throw failure("unavailable", "The launcher closed the connection before it answered")
        if (frame.type === "data") yield frame.bytes
        if (frame.type !== "report") continue
        finalAnswer(frame.fields)
        return
      }
    } catch (error) {
      throw cancelledOr(error, signal)
    } finally {
      done()
    }
  }

  launch(
    id: string,
    operations: Plan,
    socket: string,
    { sent, ...options }: Parameters<Kernel["launch"]>[3] = {},
  ): Promise<Monitor> {
    const request = encodePlan([["launch", id], ...operations])
    this.#launches++
    return this.#heard(async () => {
      const connection = this.#sendAtOnce(request) ?? (await this.#connect(request))
      sent?.()
      return launched(connection, socket, new Lease(this.#leases), options)
    }).finally(() => {
      this.#launches--
      this.#prepareLaunch()
    })
  }

  #sendAtOnce(request: Buffer): Connection | undefined {
    const connection = this.#doorway.takeWaiting()?.[0]
    connection?.socket.write(request)
    return connection
  }

  #prepareLaunch(): void {
    if (this.#closed || this.#refilling !== undefined) return
    this.#refilling = setTimeout(() => {
      this.#refilling = undefined
      if (this.#launches > 0) return
      this.#doorway.prepare()
    }, quiet)
    this.#refilling.unref()
  }

  #shut(): void {
    this.#closed = true
    clearTimeout(this.#refilling)
    this.#doorway.close()
  }

  rejoin(socket: string, exitRecord?: string): Promise<Monitor | undefined> {
    return findMonitor(socket, new Lease(this.#leases), exitRecord)
  }

  async close(): Promise<void> {
    this.#shut()
    for (const lease of [...this.#leases]) lease.release()
    for (const connection of this.#connections) connection.destroy()
    this.#leases.clear()
    await this.#starting?.catch(() => undefined)
  }

  /** Connects; a launcher that is gone is started anew, once. */
  async #connect(request: Buffer): Promise<Connection> {
    if (this.#closed) throw closed()
    try {
      return await connect(this.#socket, request)
    } catch (error) {
      if (!isUnheard(error)) throw unreachable(this.#socket, error)
      await this.#start()
      return connect(this.#socket, request)
    }
  }

  /** Asks once more when the launcher died with the request unread. */
  async #heard<T>(attempt: () => Promise<T>): Promise<T> {
    try {
      return await attempt()
    } catch (error) {
      if (!isUnheard(error) || this.#closed) throw error
      await this.#start()
      return attempt()
    }
  }

  async #open(plan: Plan, signal?: AbortSignal): Promise<{ connection: Connection; done: () => void }> {
    if (signal?.aborted) throw cancelledOr(signal.reason, signal)
    this.#underWay++
    let connection: Connection
    try {
      connection = await this.#connect(encodePlan(plan))
    } catch (error) {
      this.#end()
      throw error
    }
    this.#connections.add(connection)
    const abort = () => connection.destroy()
    signal?.addEventListener("abort", abort, { once: true })
    if (signal?.aborted) abort()
    const done = () => {
      signal?.removeEventListener("abort", abort)
      if (!this.#connections.delete(connection)) return
      connection.destroy()
      this.#end()
    }
    return { connection, done }
  }

  #start(): Promise<number> {
    // Whoever closes counts on it that no launcher is started after.
    if (this.#closed) return Promise.reject(closed())
    this.#starting ??= start(this.#place).finally(() => {
      this.#starting = undefined
    })
    return this.#starting
  }
}

async function sendData(connection: Connection, bytes: Uint8Array): Promise<void> {
  const header = Buffer.allocUnsafe(frameHeader)
  writeHeader(header, frameKind.data, bytes.length)
  connection.socket.cork()
  connection.socket.write(header)
  const sent = bytes.length === 0 ? undefined : connection.write(bytes)
  connection.socket.uncork()
  await sent
}

function finalAnswer(fields: readonly string[]): Answer {
  if (fields[0] === "ok") return answerOf(fields)
  if (fields[0] === "failed") throw failureOf(fields)
  throw failure("internal", `The launcher answered "${fields[0] ?? ""}" where an end is due`)
}

const closed = () => failure("cancelled", "The connection to the launcher was closed")

const cancelledOr = (error: unknown, signal: AbortSignal | undefined): unknown =>
  signal?.aborted === true ? failure("cancelled", "The request was cancelled", { cause: error }) : error

const unreachable = (socket: string, error: unknown) =>
  failure("unavailable", `The launcher at ${socket} cannot be reached: ${errorMessage(error)}`, {
    cause: error,
  })

/**
 * The kernel of this machine behind RUN_ROOT/launcher.sock. A launcher is started when none answers, and one that was
 * started from another binary is replaced; monitors and containers are not touched by that.
 * Throws unavailable when it cannot be started.
 */
export async function openKernel(place: LauncherPlace): Promise<LauncherKernel> {
  const kernel = new RealKernel(place)
  await kernel.ready()
  return kernel
}
