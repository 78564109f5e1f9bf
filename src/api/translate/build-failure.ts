// A failed build in the words of each face: dockerd's classic builder, and our own lines.
import { errorKind, errorMessage, failure } from "../../base/errors.ts"
import { BuildFailure, excerpt } from "../../build/build.ts"
import type { BuildFailureView } from "../../wire/wire.ts"

interface ClassicFailure {
  readonly message: string
  /** Exit code of a RUN. */
  readonly code?: number
  /** For an answer that has not begun. */
  readonly thrown: unknown
}

/** `process "/bin/sh -c make" did not complete successfully: exit code: 2` is dockerd's "The command '…' returned …". */
export function classicFailure(error: unknown): ClassicFailure {
  const text = errorMessage(error)
  const ran = /process "([\s\S]*)" did not complete successfully: exit code: (\d+)/.exec(text)
  if (ran) {
    const code = Number(ran[2])
    const message = `The command '${unquoted(ran[1] ?? "")}' returned a non-zero code: ${code}`
    return { message, code, thrown: failure("invalid", message, { cause: error }) }
  }
  const missing = /"\/?([^"]*)": not found$/.exec(text)
  if (missing && /checksum|cache key|^"|\/.*": not found/.test(text) && isCopy(error)) {
    const message = missingSource(instructionOf(error), missing[1] ?? "")
    return { message, thrown: failure("invalid", message, { cause: error }) }
  }
  const kind = errorKind(error)
  return { message: text, thrown: kind === "internal" ? error : failure(kind, text, { cause: error }) }
}

/** The step's own name says what it was. */
const isCopy = (error: unknown): boolean => error instanceof BuildFailure && error.detail.place !== undefined

/** The line of the Dockerfile that failed; "" when it is not known. */
function instructionOf(error: unknown): string {
  const { place, source } = error instanceof BuildFailure ? error.detail : {}
  if (place === undefined || source === undefined) return ""
  return (Buffer.from(source).toString("utf8").split("\n")[place.first - 1] ?? "").trim()
}

/** What dockerd says of a source that is not there, by where it was looked for. */
function missingSource(instruction: string, path: string): string {
  const failed = /^ADD\b/i.test(instruction) ? "ADD failed" : "COPY failed"
  if (/^\S+\s+(--\S+\s+)*--from=/i.test(instruction)) return `${failed}: stat ${path}: file does not exist`
  if (/[*?[]/.test(path)) return `${failed}: no source files were specified`
  return `${failed}: file not found in build context or excluded by .dockerignore: stat ${path}: file does not exist`
}

/** Go's %q of the command. */
function unquoted(text: string): string {
  try {
    return JSON.parse(`"${text}"`) as string
  } catch {
    return text
  }
}

/** The last line of a build of our own. */
export function failureView(error: unknown): BuildFailureView {
  const detail = error instanceof BuildFailure ? error.detail : {}
  const lines = error instanceof BuildFailure ? excerptOf(error) : ""
  return {
    message: errorMessage(error),
    kind: errorKind(error),
    ...(lines === "" ? {} : { excerpt: lines }),
    ...(detail.exitCode === undefined ? {} : { exitCode: detail.exitCode }),
    ...(detail.vertex === undefined ? {} : { vertex: detail.vertex }),
  }
}

/** The lines of the Dockerfile that failed, marked, between their neighbours; "" when they are not known. */
function excerptOf({ detail: { place, source, file = "Dockerfile" } }: BuildFailure): string {
  return place === undefined || source === undefined ? "" : excerpt(file, source, place).trimEnd()
}
