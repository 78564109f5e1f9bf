// Starts the launcher's process and makes sure that the one which answers is the right one.
import { spawn } from "node:child_process"
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { errorKind, errorMessage, failure } from "../base/errors.ts"
import { connect, isAbsent, isUnheard } from "./connection.ts"
import { encodePlan } from "./plan.ts"
import { answerOf } from "./reports.ts"

export interface LauncherPlace {
  /** Host path of the launcher's executable. */
  readonly launcherBinary: string
  /** Directory of sockets, private to one engine. */
  readonly runRoot: string
  /** Directory that the launcher is told as its DATA_ROOT. */
  readonly dataRoot: string
}

const startTimeout = 10_000

export const launcherSocket = (place: LauncherPlace): string => join(place.runRoot, "launcher.sock")

/** Version and pid of the launcher that answers at a socket; undefined when none does. */
export async function identify(socket: string): Promise<{ version: string; pid: number } | undefined> {
  try {
    const connection = await connect(socket, encodePlan([["version"]]))
    const fields = await connection.report()
    connection.destroy()
    if (fields[0] !== "ok") return undefined
    const answer = answerOf(fields)
    return { version: answer.get("version")?.[0] ?? "", pid: Number(answer.get("pid")?.[0] ?? 0) }
  } catch (error) {
    if (isUnheard(error) || errorKind(error) === "unavailable") return undefined
    throw error
  }
}

/** Whether somebody still has the socket open, though nobody may serve it any more. */
async function isListening(socket: string): Promise<boolean> {
  try {
    const connection = await connect(socket, Buffer.alloc(0))
    connection.destroy()
    return true
  } catch (error) {
    return !isAbsent(error)
  }
}

/** Whether a running launcher was started from exactly this binary (it runs from a sealed copy of it). */
export function isSameBinary(pid: number, binary: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/exe`).equals(readFileSync(binary))
  } catch {
    // Without the right to look, the protocol's version has to do.
    return true
  }
}

/** Ends a launcher; monitors and containers live on. Resolves once its socket no longer answers. */
export async function terminate(pid: number, socket: string): Promise<void> {
  if (!(pid > 1)) throw failure("internal", `The launcher at ${socket} does not tell its pid`)
  try {
    process.kill(pid, "SIGTERM")
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error
  }
  const deadline = Date.now() + startTimeout
  while ((await identify(socket)) !== undefined) {
    if (Date.now() > deadline)
      throw failure("unavailable", `The launcher (pid ${pid}) does not end; end it and try again`)
    await sleep(5)
  }
}

/** Waits for a dying launcher to let go of its socket; the pid of one that answers after all. */
async function settle(socket: string): Promise<number | undefined> {
  for (let tries = 0; tries < 500; tries++) {
    const found = await identify(socket)
    if (found !== undefined) return found.pid
    if (!(await isListening(socket))) return undefined
    await sleep(2)
  }
  return undefined
}

/** Starts a launcher in a session of its own, unless one answers, and resolves with its pid once it does. */
export async function start(place: LauncherPlace): Promise<number> {
  const socket = launcherSocket(place)
  const present = await settle(socket)
  if (present !== undefined) return present
  const logPath = join(place.runRoot, "launcher.log")
  mkdirSync(dirname(socket), { recursive: true, mode: 0o700 })
  const log = openSync(logPath, "a", 0o600)
  let ended: string | undefined
  try {
    const child = spawn(place.launcherBinary, ["serve", socket, place.dataRoot], {
      detached: true,
      stdio: ["ignore", log, log],
      cwd: "/",
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
    })
    child.once("error", (error) => {
      ended = errorMessage(error)
    })
    child.once("exit", (code, signal) => {
      ended = signal === null ? `it exited with code ${code}` : `it was ended by ${signal}`
    })
    child.unref()
  } finally {
    closeSync(log)
  }
  const deadline = Date.now() + startTimeout
  for (let wait = 1; ; wait = Math.min(wait * 2, 50)) {
    // Of launchers that start at once one serves and the others end: ours may have ended while we asked.
    const over = ended !== undefined || Date.now() > deadline
    const found = await identify(socket)
    if (found !== undefined) return found.pid
    if (over)
      throw failure(
        "unavailable",
        `The launcher ${place.launcherBinary} did not start: ${ended ?? "it does not answer"}${lastWords(logPath)}`,
      )
    await sleep(wait)
  }
}

function lastWords(logPath: string): string {
  const line = readFileSync(logPath, "utf8").trimEnd().split("\n").at(-1) ?? ""
  return line === "" ? "" : ` (${line})`
}
