// Processes as a monitor serves them: a launched init, an exec, a monitor found again.
import type { Duplex } from "node:stream"
import { failure } from "../base/errors.ts"
import { type Connection, connect, isAbsent } from "./connection.ts"
import type { ExitRecord, Monitor, MonitoredProcess, Operation, Plan } from "./kernel.ts"
import { encodePlan } from "./plan.ts"
import { exitOf, failureOf, lostMonitor, readExitRecord } from "./reports.ts"

/** How a process is found again when the connection that carried its plan is gone. */
interface Address {
  readonly socket: string
  /** Absent for the init. */
  readonly exec?: string
  /** The init's exit record, if the plan had one. */
  readonly exitRecord?: string
  readonly lease: Lease
}

/** The connections held for one monitor. Once released, nothing is read or asked any more. */
export class Lease {
  released = false
  readonly #connections = new Set<Connection>()
  readonly #forget: () => void

  constructor(forget: () => void) {
    this.#forget = forget
  }

  add(connection: Connection): void {
    this.#connections.add(connection)
  }

  drop(connection: Connection): void {
    this.#connections.delete(connection)
    connection.destroy()
  }

  release(): void {
    this.released = true
    this.#forget()
    for (const connection of this.#connections) connection.destroy()
    this.#connections.clear()
  }
}

const execOperation = (address: Address): Plan =>
  address.exec === undefined ? [] : [["exec", address.exec] as const]

/** One request to the monitor with a plain answer. */
async function ask(address: Address, verb: Operation, ...operations: Operation[]): Promise<void> {
  let connection: Connection
  try {
    connection = await connect(address.socket, encodePlan([verb, ...operations, ...execOperation(address)]))
  } catch (error) {
    if (isAbsent(error)) throw failure("conflict", "The process has ended", { cause: error })
    throw error
  }
  try {
    const fields = await connection.report()
    if (fields[0] !== "ok") throw failureOf(fields)
  } finally {
    connection.destroy()
  }
}

async function attach(
  address: Address,
  streams: { stdin: boolean; stdout: boolean; stderr: boolean },
): Promise<Duplex> {
  const names = (["stdin", "stdout", "stderr"] as const).filter((name) => streams[name])
  let connection: Connection
  try {
    connection = await connect(
      address.socket,
      encodePlan([["attach"], ["streams", names.join(",")], ...execOperation(address)]),
    )
  } catch (error) {
    if (isAbsent(error)) throw failure("conflict", "The process has ended", { cause: error })
    throw error
  }
  const fields = await connection.report()
  if (fields[0] === "ok") {
    const socket = connection.detach()
    // After the last byte of output nobody reads our side any more: it must not keep the descriptor.
    socket.once("end", () => socket.end())
    return socket
  }
  connection.destroy()
  throw failureOf(fields)
}

/** Reads on after `started` until the process has ended; asks again, then the record, when the connection is lost. */
async function awaitExit(
  address: Address,
  connection: Connection,
  mayAskAgain: boolean,
): Promise<ExitRecord> {
  try {
    for (;;) {
      const frame = await connection.next()
      if (frame === undefined) break
      if (frame.type === "report" && frame.fields[0] === "exited") return exitOf(frame.fields)
      if (frame.type === "report" && frame.fields[0] === "failed") break
    }
  } catch {
    // A broken connection is as good as a closed one: the monitor's socket or the record tell more.
  } finally {
    address.lease.drop(connection)
  }
  if (address.lease.released) return new Promise<ExitRecord>(() => {})
  const again = mayAskAgain ? await watch(address).catch(() => undefined) : undefined
  if (again !== undefined) return again.exited
  return (address.exitRecord === undefined ? undefined : readExitRecord(address.exitRecord)) ?? lostMonitor()
}

/** The pid and end of a process, from the connection that carried its plan. Throws what `failed` told. */
async function follow(
  address: Address,
  connection: Connection,
  mayAskAgain: boolean,
): Promise<MonitoredProcess> {
  address.lease.add(connection)
  try {
    const fields = await connection.report()
    if (fields[0] === "exited") {
      // A watched process that had already ended when it was asked for.
      const record = exitOf(fields)
      address.lease.drop(connection)
      return processAt(address, 0, Promise.resolve(record))
    }
    if (fields[0] !== "started") throw failureOf(fields)
    return processAt(address, Number(fields[1]), awaitExit(address, connection, mayAskAgain))
  } catch (error) {
    address.lease.drop(connection)
    throw error
  }
}

/** Watches a process of a monitor; undefined when none listens there. */
async function watch(address: Address): Promise<MonitoredProcess | undefined> {
  let connection: Connection
  try {
    connection = await connect(address.socket, encodePlan([["watch"], ...execOperation(address)]))
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
  return follow(address, connection, false)
}

const processAt = (address: Address, pid: number, exited: Promise<ExitRecord>): MonitoredProcess => ({
  pid,
  exited,
  attach: (streams) => attach(address, streams),
  signal: (number) => ask(address, ["signal"], ["number", String(number)]),
  resize: (rows, columns) => ask(address, ["resize"], ["size", String(rows), String(columns)]),
})

const monitorOf = (address: Address, init: MonitoredProcess): Monitor => ({
  ...init,
  exec: async (id, operations) => {
    let connection: Connection
    try {
      connection = await connect(address.socket, encodePlan([["exec", id], ...operations]))
    } catch (error) {
      if (isAbsent(error)) throw failure("conflict", "The container's process has ended", { cause: error })
      throw error
    }
    return follow({ socket: address.socket, exec: id, lease: address.lease }, connection, true)
  },
  release: () => address.lease.release(),
})

/** The monitor behind a connection that carried a launch plan. Throws what `failed` told. */
export async function launched(
  connection: Connection,
  socket: string,
  lease: Lease,
  exitRecord?: string,
): Promise<Monitor> {
  const address: Address = { socket, exitRecord, lease }
  return monitorOf(address, await follow(address, connection, true))
}

/** The monitor that listens at a socket; undefined when none does. */
export async function findMonitor(
  socket: string,
  lease: Lease,
  exitRecord?: string,
): Promise<Monitor | undefined> {
  const address: Address = { socket, exitRecord, lease }
  const init = await watch(address)
  return init === undefined ? undefined : monitorOf(address, init)
}
