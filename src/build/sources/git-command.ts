// Runs the host's git: nothing of the user's or the machine's configuration, no prompts, no hooks, and an end to every wait.
import { type ChildProcess, spawn } from "node:child_process"
import { dirname } from "node:path"
import { failure } from "../../base/errors.ts"

export interface GitSurroundings {
  /** Where the program runs. */
  readonly directory: string
  /** Settings that hold secrets: they travel in the environment, never in the arguments. */
  readonly secretSettings?: readonly (readonly [key: string, value: string])[]
  /** Socket of an SSH agent. */
  readonly agent?: string
  /** File in which the keys of SSH hosts are kept: the first key of a host is believed, another one later is not. */
  readonly knownHosts: string
  readonly signal: AbortSignal
  /** Milliseconds of silence after which it is ended. */
  readonly stall: number
  /** What the program is needed for, for failures. */
  readonly purpose: string
  readonly output?: (bytes: Uint8Array) => void
}

/** Protocols that may be spoken; never "file" or "ext", which submodules of a foreign repository could name. */
const protocols = "http:https:git:ssh"

const settings = [
  "core.hooksPath=/dev/null",
  "core.fsmonitor=false",
  "core.askPass=",
  "core.attributesFile=/dev/null",
  "credential.helper=",
  "init.defaultBranch=master",
  "advice.detachedHead=false",
  "gc.auto=0",
  "maintenance.auto=false",
  "protocol.ext.allow=never",
  "protocol.file.allow=never",
  "http.lowSpeedLimit=1",
  "http.lowSpeedTime=60",
  "submodule.recurse=false",
]

const quotedForShell = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/** No identity of the machine's own: only what the client's agent holds. */
const sshCommand = (knownHosts: string): string =>
  [
    "ssh -F /dev/null -o BatchMode=yes -o IdentityFile=none -o ConnectTimeout=30",
    "-o ServerAliveInterval=15 -o ServerAliveCountMax=4 -o StrictHostKeyChecking=accept-new",
    `-o UserKnownHostsFile=${quotedForShell(knownHosts)}`,
  ].join(" ")

/** How the engine itself reaches the outside. */
const reach = ["http", "https", "no", "all"].flatMap((name) => [
  `${name}_proxy`,
  `${name}_proxy`.toUpperCase(),
])

const environment = (around: GitSurroundings): Record<string, string> => {
  const secrets = around.secretSettings ?? []
  return {
    ...Object.fromEntries(
      reach.flatMap((name) => {
        const value = process.env[name]
        return value === undefined ? [] : [[name, value]]
      }),
    ),
    PATH: process.env.PATH ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: "/dev/null",
    LC_ALL: "C",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_SYSTEM: "/dev/null",
    GIT_ATTR_NOSYSTEM: "1",
    // No repository above the directory is looked for.
    GIT_CEILING_DIRECTORIES: dirname(around.directory),
    GIT_TERMINAL_PROMPT: "0",
    GIT_ALLOW_PROTOCOL: protocols,
    GIT_SSH_COMMAND: sshCommand(around.knownHosts),
    GIT_SSH_VARIANT: "ssh",
    ...(around.agent === undefined ? {} : { SSH_AUTH_SOCK: around.agent }),
    GIT_CONFIG_COUNT: String(secrets.length),
    ...Object.fromEntries(
      secrets.flatMap(([key, value], index) => [
        [`GIT_CONFIG_KEY_${index}`, key],
        [`GIT_CONFIG_VALUE_${index}`, value],
      ]),
    ),
  }
}

/** Files of a checkout are readable by all, whatever the engine's own mask is. */
const withUsualMask = <T>(work: () => T): T => {
  const before = process.umask(0o022)
  try {
    return work()
  } finally {
    process.umask(before)
  }
}

/** git starts helpers of its own: all of them end. */
const end = (child: ChildProcess): void => {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, "SIGKILL")
  } catch {
    // It has ended.
  }
}

/** Of output that is only shown in a failure, the end is enough. */
const mostKept = 64 * 1024
const mostRead = 64 * 1024 * 1024

/** A run that failed; `text` is what it said. */
export class GitFailure extends Error {
  readonly text: string
  constructor(text: string) {
    super(`git stderr:\n${text}`)
    this.text = text
  }
}

const missing = (purpose: string, cause: unknown) =>
  failure(
    "unavailable",
    `cannot ${purpose}: the program git was not found; install git on the machine where the engine runs`,
    { cause },
  )

/**
 * Resolves with what it wrote. Throws GitFailure when it ends otherwise, Failure "unavailable" when there is no git or it
 * stalls, "cancelled" when the signal is aborted; no process is left then.
 */
export const runGit = (words: readonly string[], around: GitSurroundings): Promise<string> => {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  if (around.signal.aborted) return Promise.reject(failure("cancelled", "context canceled"))
  const argv = [...settings.flatMap((setting) => ["-c", setting]), ...words]
  const child = withUsualMask(() =>
    spawn("git", argv, {
      cwd: around.directory,
      env: environment(around),
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    }),
  )
  const output: Buffer[] = []
  let read = 0
  let said = Buffer.alloc(0)
  let ended: Error | undefined
  const giveUp = (error: Error) => {
    ended ??= error
    end(child)
  }
  const stalled = () =>
    giveUp(failure("unavailable", `cannot ${around.purpose}: nothing came for ${around.stall / 1000} s`))
  let timer = setTimeout(stalled, around.stall)
  const alive = () => {
    clearTimeout(timer)
    timer = setTimeout(stalled, around.stall)
  }
  const abort = () => giveUp(failure("cancelled", "context canceled"))
  around.signal.addEventListener("abort", abort, { once: true })
  child.stdout.on("data", (chunk: Buffer) => {
    alive()
    read += chunk.length
    if (read > mostRead)
      giveUp(failure("invalid", `cannot ${around.purpose}: git told more than can be read`))
    else output.push(chunk)
  })
  child.stderr.on("data", (chunk: Buffer) => {
    alive()
    around.output?.(chunk)
    said = Buffer.concat([said, chunk]).subarray(-mostKept)
  })
  const settle = () => {
    clearTimeout(timer)
    around.signal.removeEventListener("abort", abort)
  }
  child.on("error", (error: NodeJS.ErrnoException) => {
    settle()
    reject(error.code === "ENOENT" ? missing(around.purpose, error) : error)
  })
  child.on("close", (code) => {
    settle()
    // Helpers may outlive it.
    end(child)
    if (ended !== undefined) reject(ended)
    else if (code === 0) resolve(Buffer.concat(output).toString("utf8"))
    else reject(new GitFailure(withoutProgress(said.toString("utf8"))))
  })
  return promise
}

/** Lines that were drawn over are left out. */
const withoutProgress = (text: string): string =>
  text
    .split("\n")
    .map((line) => line.slice(line.lastIndexOf("\r") + 1))
    .join("\n")
