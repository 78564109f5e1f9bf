// Standard input as bytes. Read by descriptor: the runtime's own stream loses the end of a pipe at times when it was paused.
import { fileSystem } from "./lazy-modules.ts"

const chunk = 256 * 1024 // bytes
const pause = 5 // milliseconds, where whoever started us made the descriptor non-blocking

const readOnce = (buffer: Buffer): Promise<number> =>
  new Promise((resolve, reject) => {
    fileSystem().read(0, buffer, 0, buffer.length, null, (error, bytes) => {
      if (!error) resolve(bytes)
      else if (error.code === "EOF") resolve(0)
      else reject(error)
    })
  })

/** Bytes until the end of standard input; a descriptor that was closed or is a directory has none. */
export async function* readStandardInput(): AsyncGenerator<Buffer> {
  for (;;) {
    const buffer = Buffer.allocUnsafe(chunk)
    let bytes: number
    try {
      bytes = await readOnce(buffer)
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : ""
      if (code !== "EAGAIN") return
      await new Promise((resolve) => setTimeout(resolve, pause))
      continue
    }
    if (bytes === 0) return
    yield buffer.subarray(0, bytes)
  }
}
