// The bytes behind a URL that a client named: the daemon fetches them, as docker's does.
import { errorMessage, failure } from "../../base/errors.ts"

/** "host/x.tar" is http, as docker has it. Throws invalid for other schemes. */
export const downloadUrl = (source: string): URL => {
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(source) ? source : `http://${source}`
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:"))
    throw failure("invalid", `cannot import from ${source}: write an http or https URL`)
  return url
}

/** Throws unavailable when it cannot be fetched whole. */
export async function* downloadFrom(url: URL, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const cannot = (reason: string, cause?: unknown) =>
    failure("unavailable", `cannot import from ${url}: ${reason}`, { cause })
  const response = await fetch(url, { signal, headers: { "Accept-Encoding": "identity" } }).catch(
    (error: unknown) => {
      throw cannot(errorMessage(error), error)
    },
  )
  if (!response.ok || response.body === null)
    throw cannot(`the server answered ${response.status} ${response.statusText}`)
  const announced = response.headers.get("content-length")
  let received = 0
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    received += chunk.length
    yield chunk
  }
  if (announced !== null && Number(announced) !== received)
    throw cannot(`the connection was cut after ${received} of ${announced} bytes`)
}
