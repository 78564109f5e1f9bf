// Health: a probe runs as an exec now and then, and its results make the container healthy or not.

import type { Duplex } from "node:stream"
import { unixMilliseconds } from "../../base/clock.ts"
import { errorMessage } from "../../base/errors.ts"
import { newId } from "../../base/ids.ts"
import { signalKill } from "../../base/signals.ts"
import type { Task } from "../../runtime/runtime.ts"
import type { ContainerRecord, Healthcheck, HealthResult, HealthState } from "../../state/state.ts"
import { announce } from "../announce.ts"
import type { Context } from "../context.ts"
import { execEnvironment } from "../creation/environment.ts"
import type { Live } from "../live.ts"

const outputBytes = 4096
const keptResults = 5

interface Settings {
  readonly interval: number
  readonly timeout: number
  readonly startPeriod: number
  readonly startInterval: number
  readonly retries: number
}

/** A healthcheck's numbers with Docker's defaults; milliseconds. */
export const healthSettings = (check: Healthcheck): Settings => ({
  interval: check.interval || 30_000,
  timeout: check.timeout || 30_000,
  startPeriod: check.startPeriod ?? 0,
  startInterval: check.startInterval || 5000,
  retries: check.retries || 3,
})

/** The command of a probe; undefined when there is none to run. */
const healthCommand = (config: ContainerRecord["config"]): readonly string[] | undefined => {
  const [kind, ...words] = config.healthcheck?.test ?? []
  if (kind === "CMD" && words.length > 0) return words
  if (kind === "CMD-SHELL" && words.length > 0) return [...(config.shell ?? ["/bin/sh", "-c"]), ...words]
  return undefined
}

/** The state after a result. Failures in the start period of a starting container do not count. Pure. */
export const nextHealth = (
  before: HealthState,
  result: HealthResult,
  settings: Settings,
  startedAt: number,
): HealthState => {
  const log = [...before.log, result].slice(-keptResults)
  if (result.exitCode === 0) return { status: "healthy", failingStreak: 0, log }
  if (before.status === "starting" && result.start - startedAt < settings.startPeriod)
    return { ...before, log }
  const failingStreak = before.failingStreak + 1
  return { status: failingStreak >= settings.retries ? "unhealthy" : before.status, failingStreak, log }
}

/** The text of multiplexed frames, at most so many bytes. Reads to the end whatever comes. */
const readOutput = async (stream: Duplex): Promise<string> => {
  const kept: Buffer[] = []
  let size = 0
  let header = Buffer.alloc(0)
  let left = 0
  for await (const chunk of stream) {
    let bytes: Buffer = chunk
    while (bytes.length > 0) {
      if (left === 0) {
        const need = 8 - header.length
        header = Buffer.concat([header, bytes.subarray(0, need)])
        bytes = bytes.subarray(need)
        if (header.length < 8) break
        left = header.readUInt32BE(4)
        header = Buffer.alloc(0)
        continue
      }
      const part = bytes.subarray(0, left)
      left -= part.length
      bytes = bytes.subarray(part.length)
      if (size < outputBytes) kept.push(part.subarray(0, outputBytes - size))
      size += part.length
    }
  }
  return Buffer.concat(kept).toString("utf8")
}

const probe = async (
  context: Context,
  task: Task,
  record: ContainerRecord,
  command: readonly string[],
  settings: Settings,
): Promise<HealthResult> => {
  const { config } = record
  const id = newId()
  const line = command.join(" ")
  const start = unixMilliseconds()
  const result = (exitCode: number, output: string): HealthResult => ({
    start,
    end: unixMilliseconds(),
    exitCode,
    output,
  })
  const streams = { stdin: false, stdout: true, stderr: true }
  announce(context, record, `exec_create: ${line}`, { execID: id })
  announce(context, record, `exec_start: ${line}`, { execID: id })
  try {
    const process = await task.exec(config, {
      id,
      argv: command,
      env: execEnvironment(config, { env: [], tty: false }),
      user: config.user,
      workingDirectory: config.workingDirectory || "/",
      tty: false,
      openStdin: false,
      privileged: config.privileged,
      consoleSize: [0, 0],
      expectedAttachments: 1,
      attach: streams,
    })
    const stream = process.stream ?? (await process.attach(streams))
    stream.end()
    const output = readOutput(stream).catch(() => "")
    const { promise: late, resolve } = Promise.withResolvers<undefined>()
    const timer = setTimeout(() => resolve(undefined), settings.timeout)
    const exit = await Promise.race([process.exited, late])
    clearTimeout(timer)
    if (exit === undefined) {
      await process.signal(signalKill).catch(() => {})
      stream.destroy()
      return result(-1, `Health check exceeded timeout (${settings.timeout / 1000}s)`)
    }
    announce(context, record, "exec_die", { execID: id, exitCode: String(exit.code) })
    return result(exit.code, await output)
  } catch (error) {
    return result(-1, errorMessage(error))
  }
}

/** Starts the probes of a container that runs, if it has any; live.stopHealth ends them. */
export const startHealthcheck = (context: Context, live: Live, started: ContainerRecord): void => {
  const command = healthCommand(started.config)
  const { task } = live
  if (command === undefined || started.config.healthcheck === undefined || task === undefined) return
  const settings = healthSettings(started.config.healthcheck)
  if (started.health === undefined) {
    const health: HealthState = { status: "starting", failingStreak: 0, log: [] }
    context.catalogue.change(live.id, { health }, { durable: false })
  }
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  live.stopHealth = () => {
    stopped = true
    clearTimeout(timer)
  }
  const pause = (): number => {
    const status = context.catalogue.find(live.id)?.health?.status
    const inStart = unixMilliseconds() - started.startedAt < settings.startPeriod
    return status === "starting" && inStart ? settings.startInterval : settings.interval
  }
  const run = async (): Promise<void> => {
    const record = context.catalogue.find(live.id)
    if (record?.status === "running") {
      const result = await probe(context, task, record, command, settings)
      const now = context.catalogue.find(live.id)
      if (stopped || now?.health === undefined) return
      const health = nextHealth(now.health, result, settings, started.startedAt)
      const changed = context.catalogue.change(live.id, { health }, { durable: false })
      if (changed !== undefined && health.status !== now.health.status) {
        announce(context, changed, `health_status: ${health.status}`)
      }
    }
    if (!stopped) timer = setTimeout(turn, pause())
  }
  const turn = () => {
    context.background.run("a health probe", run)
  }
  timer = setTimeout(turn, pause())
}
