// Bodies as text or as newline-delimited JSON.

/** Reads a body whole as text. */
export async function readText(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks).toString("utf8")
}

/** Lines of a body that are not empty, as they come. */
export async function* readRawLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ""
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) if (line.trim() !== "") yield line
  }
  if (rest.trim() !== "") yield rest
}

/** Values of a newline-delimited JSON body, as they come. */
export async function* readLines<T>(body: AsyncIterable<Uint8Array>): AsyncGenerator<T> {
  for await (const line of readRawLines(body)) yield JSON.parse(line) as T
}
