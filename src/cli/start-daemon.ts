// Starts the daemon in a session of its own when none answers, and waits until it does.
import { type ChildProcess, spawn } from "node:child_process"
import { mkdirSync, openSync, readFileSync } from "node:fs"
import { connect } from "node:net"
import { dirname, join } from "node:path"
import { failure } from "../base/errors.ts"

/** Exit code of a daemon whose data root another one holds (daemon/daemon.ts). */
const HELD_BY_ANOTHER = 75
const patience = 15_000 // milliseconds; a daemon with many containers to find again needs some of it

/** In development the runtime runs main.ts; the compiled executable, whose sources lie in /$bunfs, is the program itself. */
export const ownProgram = (): string[] => {
  const main = process.argv[1] ?? ""
  return main.startsWith("/$bunfs/") || main === "" ? [process.execPath] : [process.execPath, main]
}

const answers = (socket: string): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = connect(socket)
    probe.once("connect", () => {
      probe.destroy()
      resolve(true)
    })
    probe.once("error", () => resolve(false))
  })

/**
 * Resolves once a daemon listens on the socket; SLOOP_RUN_ROOT and SLOOP_DATA_ROOT are handed on to it.
 * Throws Failure "unavailable" with the daemon's last words.
 */
export async function startDaemon(
  socket: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  if (process.getuid?.() !== 0)
    throw failure(
      "unavailable",
      "no Sloop daemon runs and starting one needs root; run this again with sudo, or start it with: sudo sloop daemon",
    )
  const log = join(dirname(socket), "daemon.log")
  mkdirSync(dirname(socket), { recursive: true, mode: 0o711 })
  const out = openSync(log, "a", 0o600)
  const [program = "", ...words] = ownProgram()
  const roots = [
    ...(env.SLOOP_RUN_ROOT ? ["--run-root", env.SLOOP_RUN_ROOT] : []),
    ...(env.SLOOP_DATA_ROOT ? ["--data-root", env.SLOOP_DATA_ROOT] : []),
  ]
  const daemon = spawn(program, [...words, "daemon", ...roots], {
    detached: true,
    stdio: ["ignore", out, out],
    cwd: "/",
  })
  daemon.unref()
  await untilListening(socket, daemon, log)
}

async function untilListening(socket: string, daemon: ChildProcess, log: string): Promise<void> {
  const until = Date.now() + patience
  while (Date.now() < until) {
    if (await answers(socket)) return
    // Another daemon may have won a race to start: this one says so by its exit code, and the other will answer.
    const lost = daemon.exitCode === HELD_BY_ANOTHER
    if (daemon.exitCode !== null && !lost && !(await answers(socket))) break
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  if (await answers(socket)) return
  const lastWords = readFileSync(log, "utf8").trim().split("\n").slice(-3).join("\n")
  throw failure("unavailable", `the Sloop daemon did not start; the end of ${log} says:\n${lastWords}`)
}
