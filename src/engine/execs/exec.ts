// Further processes in a running container.

import type { Duplex } from "node:stream"
import { setTimeout as delay } from "node:timers/promises"
import { crashPoint } from "../../base/crash-point.ts"
import { errorMessage, failure } from "../../base/errors.ts"
import { newId } from "../../base/ids.ts"
import type { MonitoredProcess, StartedExec, Streams } from "../../kernel/kernel.ts"
import { announce } from "../announce.ts"
import type { Context } from "../context.ts"
import { execEnvironment } from "../creation/environment.ts"
import type { Attached, ExecConfig, ExecRecord, Execs } from "../engine.ts"
import { startFailureCode } from "../lifecycle/start.ts"
import { permit } from "../lifecycle/transitions.ts"
import type { Live } from "../live.ts"
import { DetachScanner, parseDetachKeys } from "../streams/detach-keys.ts"
import { LateStream } from "../streams/late-stream.ts"
import type { ExecNotes } from "./exec-notes.ts"

/** How long an ended (or never started) exec can be asked about, and how many of them at most. */
const keptMilliseconds = 5 * 60_000
const keptCount = 2000

/** How long a size that comes before the process waits for it, as in Docker. */
const startPatience = 10_000

interface Exec {
  record: ExecRecord
  process?: MonitoredProcess
  started: boolean
  /** When it may be forgotten; 0 while it runs. */
  idleSince: number
}

/** Docker's code for an exec that did not start: 126 unless the program is missing. */
const execFailureCode = (message: string): number => (startFailureCode(message) === 127 ? 127 : 126)

export class ExecTable {
  readonly notes: ExecNotes
  readonly #execs = new Map<string, Exec>()

  constructor(notes: ExecNotes) {
    this.notes = notes
  }

  add(exec: Exec): void {
    this.#sweep()
    this.#execs.set(exec.record.id, exec)
  }

  get(id: string): Exec {
    const exec = this.#execs.get(id)
    if (exec === undefined) throw failure("not-found", `No such exec instance: ${id}`)
    return exec
  }

  /** Ids of execs that run in a container. */
  runningIn(containerId: string): string[] {
    const ids: string[] = []
    for (const { record } of this.#execs.values()) {
      if (record.containerId === containerId && record.running) ids.push(record.id)
    }
    return ids
  }

  forgetContainer(containerId: string): void {
    for (const [id, exec] of this.#execs) if (exec.record.containerId === containerId) this.#execs.delete(id)
    this.notes.forgetContainer(containerId)
  }

  #sweep(): void {
    const horizon = Date.now() - keptMilliseconds
    let surplus = this.#execs.size - keptCount
    for (const [id, exec] of this.#execs) {
      if (exec.idleSince === 0) continue
      if (exec.idleSince > horizon && surplus <= 0) break
      this.#execs.delete(id)
      surplus--
    }
  }
}

const commandLine = (record: ExecRecord): string => record.command.join(" ")

/** Prepares an exec. Throws conflict when the container does not run, invalid without a command. */
const createExec = (context: Context, execs: ExecTable, reference: string, config: ExecConfig): string => {
  const container = context.catalogue.get(reference)
  permit("exec", container)
  if (config.command.length === 0 || config.command[0] === "")
    throw failure("invalid", "No exec command specified")
  for (const word of [...config.command, ...config.env, config.user, config.workingDirectory]) {
    if (word.includes("\0"))
      throw failure("invalid", "an exec's command, environment or user holds a NUL byte")
  }
  if (config.workingDirectory !== "" && !config.workingDirectory.startsWith("/")) {
    throw failure("invalid", `Cwd must be an absolute path: ${config.workingDirectory}`)
  }
  parseDetachKeys(config.detachKeys)
  const record: ExecRecord = { ...config, id: newId(), containerId: container.id, running: false, pid: 0 }
  execs.add({ record, started: false, idleSince: Date.now() })
  announce(context, container, `exec_create: ${commandLine(record)}`, { execID: record.id })
  // After the answer, while the client reads it.
  setImmediate(() => context.live.find(container.id)?.task?.expectExec())
  return record.id
}

const launchExec = async (
  context: Context,
  exec: Exec,
  options: {
    tty: boolean
    consoleSize?: readonly [number, number]
    attach: Streams | undefined
    accepted?: () => void
  },
): Promise<StartedExec> => {
  const { record } = exec
  const container = context.catalogue.get(record.containerId)
  permit("exec", container)
  const task = context.live.find(container.id)?.task
  if (task === undefined) throw failure("conflict", `container ${container.id} is not running`)
  const { config } = container
  announce(context, container, `exec_start: ${commandLine(record)}`, { execID: record.id })
  if (options.attach !== undefined) options.accepted?.()
  const process = await task.exec(config, {
    id: record.id,
    argv: record.command,
    env: execEnvironment(config, { env: record.env, tty: record.tty }),
    user: record.user || config.user,
    workingDirectory: record.workingDirectory || config.workingDirectory || "/",
    tty: record.tty,
    openStdin: options.attach?.stdin ?? false,
    privileged: record.privileged || config.privileged,
    consoleSize: options.consoleSize ?? record.consoleSize ?? [0, 0],
    expectedAttachments: options.attach === undefined ? 0 : 1,
    attach: options.attach,
  })
  crashPoint("exec:launched")
  return process
}

const follow = (context: Context, execs: ExecTable, exec: Exec, process: MonitoredProcess): void => {
  exec.process = process
  exec.record = { ...exec.record, running: true, pid: process.pid }
  process.exited.then((exit) => {
    exec.record = { ...exec.record, running: false, exitCode: exit.code, pid: 0 }
    exec.idleSince = Date.now()
    exec.process = undefined
    execs.notes.end(exec.record)
    const container = context.catalogue.find(exec.record.containerId)
    if (container === undefined) return
    announce(context, container, "exec_die", { execID: exec.record.id, exitCode: String(exit.code) })
  })
}

/** The exec's streams, with an eye on the keys that detach. */
const scanned = (context: Context, exec: Exec, socket: Duplex): Duplex => {
  const { attachStdin, tty, detachKeys } = exec.record
  const keys = tty && attachStdin ? parseDetachKeys(detachKeys) : []
  if (keys.length === 0) return socket
  const stream = new LateStream({
    scanner: new DetachScanner(keys),
    onDetach: () => {
      const container = context.catalogue.find(exec.record.containerId)
      if (container !== undefined) announce(context, container, "exec_detach", { execID: exec.record.id })
    },
  })
  stream.connect(socket)
  return stream
}

/** Starts an exec; gives its streams unless detached. Throws conflict when it was started before. */
const startExec = async (
  context: Context,
  execs: ExecTable,
  id: string,
  options: Parameters<Execs["start"]>[1],
): Promise<Attached | undefined> => {
  const exec = execs.get(id)
  if (exec.record.running) throw failure("conflict", `exec command ${id} is already running`)
  if (exec.started) throw failure("conflict", `exec command ${id} has already run`)
  exec.started = true
  exec.idleSince = 0
  const { attachStdin, attachStdout, attachStderr, tty } = exec.record
  const attaches = !options.detach && (attachStdin || attachStdout || attachStderr)
  const attach = attaches ? { stdin: attachStdin, stdout: attachStdout, stderr: attachStderr } : undefined
  try {
    execs.notes.add(exec.record)
    const process = await launchExec(context, exec, {
      tty,
      consoleSize: options.consoleSize,
      attach,
      accepted: options.accepted,
    })
    follow(context, execs, exec, process)
    return process.stream && { tty, stream: scanned(context, exec, process.stream) }
  } catch (error) {
    if (exec.process === undefined) {
      exec.record = { ...exec.record, running: false, exitCode: execFailureCode(errorMessage(error)) }
      exec.idleSince = Date.now()
      execs.notes.end(exec.record)
    }
    throw error
  }
}

/** Finds the execs of a running container again that an earlier engine started. */
const recoverContainer = async (context: Context, execs: ExecTable, live: Live): Promise<void> => {
  for (const record of execs.notes.read(live.id)) {
    const process = await live.task?.findExec(record.id).catch(() => undefined)
    // One that nobody knows any more never started, or ended long ago.
    if (process === undefined) {
      execs.notes.end(record)
      continue
    }
    const exec: Exec = { record, started: true, idleSince: 0 }
    execs.add(exec)
    if (process.pid > 0) {
      follow(context, execs, exec, process)
      continue
    }
    const { code } = await process.exited
    exec.record = { ...record, running: false, exitCode: code, pid: 0 }
    exec.idleSince = Date.now()
    execs.notes.end(record)
  }
}

/** See {@link recoverContainer}; for all containers that run. */
export const recoverExecs = async (context: Context, execs: ExecTable): Promise<void> => {
  await Promise.all(
    context.live
      .list()
      .filter((live) => live.task !== undefined)
      .map((live) => recoverContainer(context, execs, live)),
  )
}

/** Waits for a process that is being started. */
const settled = async (exec: Exec): Promise<void> => {
  const end = Date.now() + startPatience
  while (exec.started && exec.process === undefined && exec.idleSince === 0 && Date.now() < end)
    await delay(5)
}

/** The exec face of the engine. */
export const createExecs = (context: Context, execs: ExecTable): Execs => ({
  create: async (container, config) => createExec(context, execs, container, config),
  start: (id, options) => startExec(context, execs, id, options),
  get: (id) => execs.get(id).record,
  resize: async (id, rows, columns) => {
    const exec = execs.get(id)
    await settled(exec)
    if (exec.process === undefined) throw failure("conflict", `exec ${id} is not running`)
    if (exec.record.tty) await exec.process.resize(rows, columns)
  },
})
