// Byte streams of whole bodies: an iterable to a client, a request to an iterable.
import type { IncomingMessage } from "node:http"
import type { Call } from "../call.ts"

/** Sends an iterable as the body. What fails before the first byte is still a proper error answer; later the answer breaks off. */
export async function sendBytes(
  call: Call,
  bytes: AsyncIterable<Uint8Array>,
  headers: Record<string, string>,
): Promise<void> {
  const { gone } = call
  const iterator = bytes[Symbol.asyncIterator]()
  let next = await iterator.next()
  const output = call.stream(headers)
  try {
    while (next.done !== true && !gone.aborted) {
      if (!output.write(next.value)) await drained(output, gone)
      next = await iterator.next()
    }
  } catch (error) {
    call.abandon()
    throw error
  } finally {
    if (next.done !== true) await iterator.return?.()
  }
  output.end()
}

function drained(output: NodeJS.WritableStream, gone: AbortSignal): Promise<void> {
  if (gone.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const done = () => {
      output.off("drain", done)
      gone.removeEventListener("abort", done)
      resolve()
    }
    output.once("drain", done)
    gone.addEventListener("abort", done)
  })
}

/** The request's body; a client that vanishes midway makes the iteration throw. */
export async function* receiveBytes(request: IncomingMessage): AsyncIterable<Uint8Array> {
  for await (const chunk of request) yield chunk as Buffer
}
