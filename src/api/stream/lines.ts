// NDJSON progress: one JSON object a line, as load, import and pull report.
import { errorMessage } from "../../base/errors.ts"
import type { ProgressLine } from "../../wire/wire.ts"
import type { Call } from "../call.ts"

/** Bytes that may wait for a client who reads slowly; output of build steps beyond that is left out. */
export const MOST_WAITING = 32 * 1024 * 1024

export interface Lines {
  write(line: ProgressLine): void
}

/**
 * Runs long work whose answer is a progress stream. The headers leave with the first line, so that what fails before
 * it is a proper error answer; what fails later is the stream's last line.
 */
export async function progressStream(call: Call, work: (lines: Lines) => Promise<void>): Promise<void> {
  let output: NodeJS.WritableStream | undefined
  const open = () => {
    output ??= call.stream({ "Content-Type": "application/json" })
    return output
  }
  const write = (line: ProgressLine) => {
    open().write(`${JSON.stringify(line)}\n`)
  }
  try {
    await work({ write })
    open().end()
  } catch (error) {
    if (output === undefined) throw error
    const message = errorMessage(error)
    write({ errorDetail: { message }, error: message })
    output.end()
  }
}
