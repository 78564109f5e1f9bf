// Failures of a launch or an exec in the words from which Docker's clients tell exit codes 125, 126 and 127.
import { type ErrorKind, type Failure, failure } from "../../base/errors.ts"
import { errnoText, LauncherFailure } from "../../kernel/kernel.ts"

const launchPrefix =
  "failed to create task for container: failed to create shim task: OCI runtime create failed: unable to start container process"
const execPrefix = "OCI runtime exec failed: exec failed: unable to start container process"

/** The failure of a container's launch. What did not come from the launcher is passed on as it is. */
export const launchFailure = (error: unknown): unknown => worded(error, launchPrefix)

/** The failure of an exec. */
export const execFailure = (error: unknown): unknown => worded(error, execPrefix)

function worded(error: unknown, prefix: string): unknown {
  if (!(error instanceof LauncherFailure)) return error
  // Docker looks users and groups up before it asks its runtime.
  if (error.step === "user" && error.explanation !== "") return failed("invalid", error.explanation, error)
  const told = explain(error)
  return told === undefined ? error : failed(told.kind, `${prefix}: ${told.text}: unknown`, error)
}

const failed = (kind: ErrorKind, message: string, cause: unknown): Failure =>
  failure(kind, message, { cause })

function explain(error: LauncherFailure): { kind: ErrorKind; text: string } | undefined {
  const { step, path } = error
  switch (step) {
    case "exec":
      return { kind: "invalid", text: execText(error) }
    case "cwd":
      return {
        kind: "invalid",
        text: `chdir to cwd (${quoted(path)}) set in config.json failed: ${reason(error)}`,
      }
    case "user":
      return { kind: "invalid", text: reason(error) }
    case "bind":
    case "mount":
    case "secret":
    case "tree":
      return { kind: mountKind(error), text: `error mounting ${quoted(path)}: ${reason(error)}` }
    case "rlimit":
      return { kind: "invalid", text: `error setting rlimits for ulimit ${path}: ${reason(error)}` }
    case "sysctl":
      return { kind: "invalid", text: `error setting sysctl ${quoted(path)}: ${reason(error)}` }
    case "device":
      return { kind: "invalid", text: `error creating device node ${quoted(path)}: ${reason(error)}` }
    case "reserve-port":
      return { kind: error.kind, text: `failed to bind host port for ${path}: ${reason(error)}` }
    default:
      return { kind: error.kind, text: error.message }
  }
}

const quoted = (text: string): string => JSON.stringify(text)

/** Which mounts fail for what was asked for, and not by an accident of the host. */
const mountKind = ({ errnoName, kind }: LauncherFailure): ErrorKind =>
  ["ENOENT", "ENOTDIR", "EISDIR", "EINVAL", "EPERM", "ELOOP", "EROFS"].includes(errnoName) ? "invalid" : kind

function reason({ errno, explanation }: LauncherFailure): string {
  if (errno === 0) return explanation
  const words = errnoText(errno)
  if (explanation === "") return words
  // Clients look for the words in lower case; C's strerror begins with a capital.
  const at = explanation.toLowerCase().indexOf(words)
  if (at < 0) return `${words} (${explanation})`
  return explanation.slice(0, at) + words + explanation.slice(at + words.length)
}

/** runc's sentence for a program that does not start, with the true cause where the launcher knows one. */
function execText({ path, errno, errnoName, explanation }: LauncherFailure): string {
  const program = `exec: ${quoted(path)}`
  const cause = explanation === "" ? "" : ` (${explanation})`
  const words = errnoText(errno)
  if (errnoName === "ENOENT" && !path.includes("/"))
    return `${program}: executable file not found in $PATH${cause}`
  if (errnoName === "EACCES" && explanation === "it is a directory") return `${program}: is a directory`
  if (errnoName === "ENOENT" && cause === "") return `${program}: stat ${path}: ${words}`
  return `${program}: ${words}${cause}`
}
