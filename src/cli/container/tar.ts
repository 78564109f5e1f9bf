// The host's tar as a stage of a stream.
import { failure } from "../../base/errors.ts"

export interface TarRun {
  readonly output: AsyncIterable<Uint8Array>
  /** Rejects with tar's own words. */
  readonly ended: Promise<void>
}

// Bun's own spawn: through node:child_process the output of a tar that ends quickly is lost at times.
const start = (words: readonly string[], takesInput: boolean) => {
  try {
    return Bun.spawn(["tar", ...words], {
      stdin: takesInput ? "pipe" : "ignore",
      stdout: "pipe",
      stderr: "pipe",
    })
  } catch (error) {
    throw failure("unavailable", "tar could not be started: install it to use cp", { cause: error })
  }
}

/** Packs; what changes while it is read (tar's exit code 1) is no failure. */
export function packTar(words: readonly string[]): TarRun {
  const child = start(["-c", ...words], false)
  const problem = new Response(child.stderr).text()
  const ended = child.exited.then(async (code) => {
    if (code > 1) throw failure("internal", `tar failed: ${(await problem).trim()}`)
  })
  ended.catch(() => undefined)
  return { output: child.stdout, ended }
}

/** Unpacks a stream; owners become ours. */
export async function unpackTar(words: readonly string[], input: AsyncIterable<Uint8Array>): Promise<void> {
  const child = start(["-x", "-p", "--no-same-owner", ...words, "-f", "-"], true)
  const problem = new Response(child.stderr).text()
  const { stdin } = child
  try {
    if (stdin)
      for await (const chunk of input) {
        stdin.write(chunk)
        await stdin.flush()
      }
  } catch (error) {
    // A tar that has ended tells why itself.
    if (child.exitCode === null) child.kill()
    if ((await child.exited) === 0) throw error
  }
  await stdin?.end()
  if ((await child.exited) !== 0) throw failure("internal", `tar failed: ${(await problem).trim()}`)
}
