// Processes as a monitor serves them: a launched init, an exec, a monitor found again.
import { closeSync, openSync } from "node:fs"
import type { Duplex } from "node:stream"
import { errorKind, failure } from "../base/errors.ts"
import { type Connection, connect, isUnheard, open } from "./connection.ts"
import { Doorway } from "./doorway.ts"
import type {
  ExitRecord,
  Monitor,
  MonitoredProcess,
  Operation,
  Plan,
  StartedExec,
  Streams,
} from "./kernel.ts"
import { encodePlan } from "./plan.ts"
import { exitOf, failureOf, LauncherFailure, lostMonitor, readExitRecord } from "./reports.ts"

/** How a process is found again when the connection that carried its plan is gone. */
interface Address {
  readonly socket: string
  /** Absent for the init. */
  readonly exec?: string
  /** The init's exit record, if the plan had one. */
  readonly exitRecord?: string
  readonly lease: Lease
  /** Of the init. */
  readonly kills?: Kills
}

/** How often the kernel has killed for want of memory, as the monitor tells it. */
class Kills {
  #count = 0
  #listener: ((count: number) => void) | undefined

  note(count: number): void {
    if (!(count > this.#count)) return
    this.#count = count
    this.#listener?.(count)
  }

  listen(listener: (count: number) => void): void {
    this.#listener = listener
    if (this.#count > 0) listener(this.#count)
  }
}

/** The connections held for one monitor. Once released, nothing is read or asked any more. */
export class Lease {
  released = false
  readonly #connections = new Set<Connection>()
  readonly #leases: Set<Lease>

  /** A lease is among `leases` while it holds connections. */
  constructor(leases: Set<Lease>) {
    this.#leases = leases
  }

  add(connection: Connection): void {
    this.#connections.add(connection)
    this.#leases.add(this)
  }

  drop(connection: Connection): void {
    this.#connections.delete(connection)
    connection.destroy()
    if (this.#connections.size === 0) this.#leases.delete(this)
  }

  release(): void {
    this.released = true
    for (const connection of this.#connections) connection.destroy()
    this.#connections.clear()
    this.#leases.delete(this)
  }
}

/** Milliseconds that connections wait for the exec that they were made for. */
const patience = 3000

type Pair = readonly [first: Connection, second: Connection]

/** The monitor reads the newest of its connections first, so the one that is to be read first is dialled last. */
async function dialPair(socket: string): Promise<Pair> {
  const halves = [open(socket), open(socket)] as const
  try {
    const [second, first] = await Promise.all(halves)
    return [first, second]
  } catch (error) {
    for (const half of halves)
      half.then(
        (connection) => connection.destroy(),
        () => {},
      )
    throw error
  }
}

const execOperation = (address: Address): Plan =>
  address.exec === undefined ? [] : [["exec", address.exec] as const]

/** Without a free descriptor a socket cannot be made, and the runtime tells it as if nobody listened. */
const hasDescriptors = (): boolean => {
  try {
    closeSync(openSync("/dev/null", "r"))
    return true
  } catch {
    return false
  }
}

/** A monitor that cannot be heard has ended, and its process before it. */
const endedOr = (error: unknown): unknown => {
  if (!isUnheard(error) && errorKind(error) !== "unavailable") return error
  return hasDescriptors()
    ? failure("conflict", "The container's process has ended", { cause: error })
    : failure("exhausted", "The container cannot be reached: too many open files", { cause: error })
}

/** Resolves with the connection once it has said `ok`. */
async function accepted(connection: Connection): Promise<Connection> {
  const fields = await connection.report()
  if (fields[0] === "ok") return connection
  connection.destroy()
  throw failureOf(fields)
}

/** Sends a request to the monitor; resolves with the connection once it has said `ok`. */
async function request(address: Address, ...operations: Operation[]): Promise<Connection> {
  try {
    return await accepted(
      await connect(address.socket, encodePlan([...operations, ...execOperation(address)])),
    )
  } catch (error) {
    throw endedOr(error)
  }
}

/** One request to the monitor with a plain answer. */
async function ask(address: Address, ...operations: Operation[]): Promise<void> {
  const connection = await request(address, ...operations)
  connection.destroy()
}

const attachOperations = (streams: Streams): Operation[] => {
  const names = (["stdin", "stdout", "stderr"] as const).filter((name) => streams[name])
  return [["attach"], ["streams", names.join(",")]]
}

const rawStream = (connection: Connection): Duplex => {
  const socket = connection.detach()
  // After the last byte of output nobody reads our side any more: it must not keep the descriptor.
  socket.once("end", () => socket.end())
  return socket
}

const attach = async (address: Address, streams: Streams): Promise<Duplex> =>
  rawStream(await request(address, ...attachOperations(streams)))

/** How a process ended, and when nothing of it is held any more: then the monitor closes the connection. */
interface Ending {
  readonly record: ExitRecord
  readonly cleared: Promise<void>
}

const endingOf = (address: Address, connection: Connection, fields: readonly string[]): Ending => {
  const done = () => address.lease.drop(connection)
  return { record: exitOf(fields), cleared: connection.next().then(done, done) }
}

/** Reads on after `started` until the process has ended; asks again, then the record, when the connection is lost. */
async function awaitEnding(address: Address, connection: Connection, mayAskAgain: boolean): Promise<Ending> {
  try {
    for (;;) {
      const frame = await connection.next()
      if (frame === undefined) break
      if (frame.type === "report" && frame.fields[0] === "exited")
        return endingOf(address, connection, frame.fields)
      if (frame.type === "report" && frame.fields[0] === "failed") break
      if (frame.type === "report" && frame.fields[0] === "oom") address.kills?.note(Number(frame.fields[1]))
    }
  } catch {
    // A broken connection is as good as a closed one: the monitor's socket or the record tell more.
  }
  address.lease.drop(connection)
  if (address.lease.released) return new Promise<Ending>(() => {})
  const again = mayAskAgain ? await watch(address).catch(() => undefined) : undefined
  if (again !== undefined) return { record: await again.exited, cleared: again.cleared }
  const stored = address.exitRecord === undefined ? undefined : readExitRecord(address.exitRecord)
  return { record: stored ?? lostMonitor(), cleared: Promise.resolve() }
}

/** A process and when its monitor is done with it. */
type Followed = MonitoredProcess & Pick<Monitor, "cleared">

type Listening = (attach: MonitoredProcess["attach"]) => void

/** The pid and end of a process, from the connection that carried its plan. Throws what `failed` told. */
async function follow(
  address: Address,
  connection: Connection,
  mayAskAgain: boolean,
  listening?: Listening,
): Promise<Followed> {
  address.lease.add(connection)
  try {
    let fields = await connection.report()
    if (fields[0] === "listening") {
      listening?.((streams) => attach(address, streams))
      fields = await connection.report()
    }
    // A watched process that had already ended when it was asked for.
    if (fields[0] === "exited")
      return processAt(address, 0, Promise.resolve(endingOf(address, connection, fields)))
    if (fields[0] !== "started") throw failureOf(fields)
    return processAt(address, Number(fields[1]), awaitEnding(address, connection, mayAskAgain))
  } catch (error) {
    address.lease.drop(connection)
    throw error
  }
}

/** Watches a process of a monitor; undefined when none listens there. */
async function watch(address: Address): Promise<Followed | undefined> {
  try {
    const connection = await connect(address.socket, encodePlan([["watch"], ...execOperation(address)]))
    return await follow(address, connection, false)
  } catch (error) {
    if (isUnheard(error) || errorKind(error) === "unavailable") return undefined
    throw error
  }
}

const processAt = (address: Address, pid: number, ending: Promise<Ending>): Followed => ({
  pid,
  exited: ending.then(({ record }) => record),
  cleared: ending.then(({ cleared }) => cleared),
  attach: (streams) => attach(address, streams),
  signal: (number) => ask(address, ["signal"], ["number", String(number)]),
  resize: (rows, columns) => ask(address, ["resize"], ["size", String(rows), String(columns)]),
})

/** Starts an exec and joins its streams: both requests leave together, so that their answers come together. */
async function execute(
  address: Address,
  doorway: Doorway<Pair>,
  plan: Buffer,
  streams: Streams | undefined,
): Promise<StartedExec> {
  if (streams === undefined) return follow(address, await connect(address.socket, plan), true)
  const [first, second] = await doorway.take()
  first.socket.write(plan)
  second.socket.write(encodePlan([...attachOperations(streams), ...execOperation(address)]))
  const joined = accepted(second).then(rawStream)
  joined.catch(() => {})
  try {
    const process = await follow(address, first, true)
    // Refused when the monitor read it before it knew of the exec.
    return { ...process, stream: await joined.catch(() => attach(address, streams)) }
  } catch (error) {
    second.destroy()
    throw error
  }
}

function monitorOf(address: Address, init: Followed): Monitor {
  const { socket, lease } = address
  const doorway = new Doorway(() => dialPair(socket), patience)
  return {
    ...init,
    exec: async (id, operations, streams) => {
      try {
        const plan = encodePlan([["exec", id], ...operations])
        return await execute({ socket, exec: id, lease }, doorway, plan, streams)
      } catch (error) {
        throw endedOr(error)
      }
    },
    findExec: async (id) => {
      try {
        return await watch({ socket, exec: id, lease })
      } catch (error) {
        if (error instanceof LauncherFailure) return undefined
        throw error
      }
    },
    onOom: (listener) => address.kills?.listen(listener),
    expectExec: () => doorway.prepare(),
    relayNames: (path, containerId) => ask(address, ["name-relay", path, containerId]),
    release: () => {
      doorway.close()
      lease.release()
    },
  }
}

/** The monitor behind a connection that carried a launch plan. Throws what `failed` told. */
export async function launched(
  connection: Connection,
  socket: string,
  lease: Lease,
  { exitRecord, listening }: { readonly exitRecord?: string; readonly listening?: Listening } = {},
): Promise<Monitor> {
  const address: Address = { socket, exitRecord, lease, kills: new Kills() }
  return monitorOf(address, await follow(address, connection, true, listening))
}

/** The monitor that listens at a socket; undefined when none does. */
export async function findMonitor(
  socket: string,
  lease: Lease,
  exitRecord?: string,
): Promise<Monitor | undefined> {
  const address: Address = { socket, exitRecord, lease, kills: new Kills() }
  const init = await watch(address)
  return init === undefined ? undefined : monitorOf(address, init)
}
