// Serves an engine on a private unix socket and talks to it, raw or by fetch.
import { mkdtempSync, rmSync } from "node:fs"
import { connect, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createApiServer } from "../../src/api/api.ts"
import type { Builder } from "../../src/build/build.ts"
import type { Engine } from "../../src/engine/engine.ts"
import { createFakeBuilder } from "./fake-builder.ts"

export interface Served extends AsyncDisposable {
  readonly socket: string
  request(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>
  /** Opens a connection, sends text, and collects everything until the server closes it. */
  raw(text: string): Promise<string>
  open(text: string): Socket
}

export async function serve(engine: Engine, builder: Builder = createFakeBuilder()): Promise<Served> {
  const directory = mkdtempSync(join(tmpdir(), "sloop-api-"))
  const socket = join(directory, "s.sock")
  const server = createApiServer(engine, builder)
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  const open = (text: string) => {
    const client = connect({ path: socket, allowHalfOpen: true })
    client.write(text)
    return client
  }
  return {
    socket,
    open,
    request: (method, path, body, headers = {}) =>
      fetch(`http://localhost${path}`, {
        unix: socket,
        method,
        headers: { ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      }),
    raw: (text) =>
      new Promise((resolve, reject) => {
        const client = open(text)
        let answer = ""
        client.on("data", (chunk) => {
          answer += chunk.toString("latin1")
        })
        client.on("end", () => {
          client.end()
          resolve(answer)
        })
        client.on("error", reject)
      }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
