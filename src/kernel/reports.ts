// What the launcher's reports mean: answers, exit records and failures.
import { readFileSync } from "node:fs"
import { constants } from "node:os"
import { type ErrorKind, Failure, failure } from "../base/errors.ts"
import { decodeFields } from "./frames.ts"
import type { Answer, ExitRecord } from "./kernel.ts"

/** What the launcher could not do. `step` is the operation's name, `path` what it concerned, `errno` 0 if none. */
export class LauncherFailure extends Failure {
  readonly step: string
  readonly path: string
  readonly errno: number
  /** The errno's name ("ENOENT"), or "" when there is none. */
  readonly errnoName: string
  /** The launcher's own sentence, possibly empty. */
  readonly explanation: string

  constructor(step: string, path: string, errno: number, explanation: string) {
    super(kindOf(step, errno), sentence(step, path, errno, explanation))
    this.name = "LauncherFailure"
    this.step = step
    this.path = path
    this.errno = errno
    this.errnoName = errnoNames.get(errno) ?? ""
    this.explanation = explanation
  }
}

const errnoNames: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.errno).map(([name, number]) => [number, name]),
)

const errnoTexts: Readonly<Record<string, string>> = {
  EPERM: "operation not permitted",
  ENOENT: "no such file or directory",
  EIO: "input/output error",
  E2BIG: "argument list too long",
  ENOEXEC: "exec format error",
  EAGAIN: "resource temporarily unavailable",
  ENOMEM: "cannot allocate memory",
  EACCES: "permission denied",
  EBUSY: "device or resource busy",
  EEXIST: "file exists",
  EXDEV: "invalid cross-device link",
  ENODEV: "no such device",
  ENOTDIR: "not a directory",
  EISDIR: "is a directory",
  EINVAL: "invalid argument",
  ENFILE: "too many open files in system",
  EMFILE: "too many open files",
  ETXTBSY: "text file busy",
  EFBIG: "file too large",
  ENOSPC: "no space left on device",
  EROFS: "read-only file system",
  EPIPE: "broken pipe",
  ERANGE: "numerical result out of range",
  ENAMETOOLONG: "file name too long",
  ENOSYS: "function not implemented",
  ENOTEMPTY: "directory not empty",
  ELOOP: "too many levels of symbolic links",
  EOPNOTSUPP: "operation not supported",
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "cannot assign requested address",
  EDQUOT: "disk quota exceeded",
}

/** An errno in the words of strerror, as Go and Docker print it. */
export function errnoText(errno: number): string {
  const name = errnoNames.get(errno)
  return name === undefined ? `error ${errno}` : (errnoTexts[name] ?? name)
}

const exhausted = new Set(["ENOSPC", "EMFILE", "ENFILE", "ENOMEM", "EDQUOT"])
/** Steps whose path names something the caller asked for, so that ENOENT is an answer and not an accident. */
const lookups = new Set(["path", "root-path", "root-pid", "namespace", "attach", "signal", "exec", "stat"])

/** What fails while a tar is unpacked because of what the tar says. */
const tarFaults = new Set([
  undefined,
  "ENOENT",
  "EXDEV",
  "EISDIR",
  "ENOTDIR",
  "EINVAL",
  "EPERM",
  "ENAMETOOLONG",
  "E2BIG",
  "EFBIG",
  "ELOOP",
])

function kindOf(step: string, errno: number): ErrorKind {
  const name = errnoNames.get(errno)
  if (step === "unpack" && tarFaults.has(name)) return "invalid"
  if (name === undefined) return step === "plan" ? "invalid" : "internal"
  if (exhausted.has(name)) return "exhausted"
  if (name === "EADDRINUSE") return "conflict"
  if ((name === "ENOENT" || name === "ENOTDIR") && lookups.has(step)) return "not-found"
  if (name === "ESRCH") return "conflict"
  return "internal"
}

function sentence(step: string, path: string, errno: number, explanation: string): string {
  const subject = path === "" ? step : `${step} ${path}`
  const words = errno === 0 ? "" : errnoText(errno)
  const reason = explanation.toLowerCase().includes(words) ? "" : words
  return [subject, explanation, reason].filter((part) => part !== "").join(": ")
}

/** The failure that a `failed` report tells. */
export function failureOf(fields: readonly string[]): LauncherFailure {
  const [, step = "", path = "", errno = "0", explanation = ""] = fields
  return new LauncherFailure(step, path, Number(errno), explanation)
}

/** The answer that an `ok` report carries. */
export function answerOf(fields: readonly string[]): Answer {
  const answer = new Map<string, string[]>()
  for (let index = 1; index + 1 < fields.length; index += 2) {
    const key = fields[index] ?? ""
    const values = answer.get(key)
    if (values === undefined) answer.set(key, [fields[index + 1] ?? ""])
    else values.push(fields[index + 1] ?? "")
  }
  return answer
}

/** The end of a process that an `exited` report tells. */
export function exitOf(fields: readonly string[]): ExitRecord {
  const [, code = "137", signal = "0", oom = "0", finished = "0", reason = ""] = fields
  return {
    code: Number(code),
    signal: Number(signal),
    oom: oom === "1",
    finishedAt: Number(BigInt(finished) / 1000n) / 1000,
    reason,
  }
}

/** Reads an exit record file; undefined when there is none. Throws internal when it is not one. */
export function readExitRecord(path: string): ExitRecord | undefined {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined
    throw error
  }
  const fields = decodeFields(bytes)
  if (fields[0] !== "exited" || fields.length < 5 || !/^\d+$/.test(fields[4] ?? ""))
    throw failure("internal", `The exit record ${path} is damaged`)
  return exitOf(fields)
}

/** How a process ended whose monitor vanished without telling. */
export const lostMonitor = (): ExitRecord => ({
  code: 137,
  signal: 9,
  oom: false,
  finishedAt: Date.now(),
  reason: "the container's monitor was killed",
})
