// An engine that does nothing: it answers what `docker exec` asks at once, with what an engine once said. What the client
// takes for that is what no engine can be faster than.
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { EngineHttp } from "./http.ts"

const answer = (status: string, headers: readonly string[], body = ""): string =>
  `HTTP/1.1 ${status}\r\n${[...headers, `Content-Length: ${Buffer.byteLength(body)}`].join("\r\n")}\r\n\r\n${body}`

const json = (status: string, body: string): string =>
  answer(status, ["Content-Type: application/json"], body)

/** Listens for a `docker exec` of a container of this engine's; `close` lets go of it. */
export async function cannedExec(
  socket: string,
  container: string,
): Promise<{ client: string[]; close(): void }> {
  const http = new EngineHttp(socket)
  const inspected = (await http.call("GET", `/containers/${container}/json`)).text
  http.close()
  const directory = mkdtempSync(join(tmpdir(), "sb-canned-"))
  const path = join(directory, "d.sock")
  const said: readonly (readonly [RegExp, string])[] = [
    [/^HEAD [^ ]*\/_ping /, "HTTP/1.1 200 OK\r\nApi-Version: 1.50\r\nOstype: linux\r\n\r\n"],
    [/^GET [^ ]*\/containers\//, json("200 OK", inspected)],
    [/^POST [^ ]*\/containers\/[^ ]*\/exec /, json("201 Created", `{"Id":"${"0".repeat(64)}"}`)],
    [/^GET [^ ]*\/exec\//, json("200 OK", `{"ID":"${"0".repeat(64)}","Running":false,"ExitCode":0}`)],
  ]
  const server = createServer((connection) => {
    connection.on("error", () => {})
    connection.on("data", (data) => {
      const request = data.toString("latin1")
      if (/^POST [^ ]*\/exec\/[^ ]*\/start /.test(request))
        connection.end("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
      else connection.write(said.find(([asked]) => asked.test(request))?.[1] ?? answer("404 Not Found", []))
    })
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return {
    client: ["docker", "-H", `unix://${path}`],
    close() {
      server.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
