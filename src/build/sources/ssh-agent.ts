// The client's SSH agent as a socket on this machine, for programs that speak to one.
import { randomBytes } from "node:crypto"
import { mkdirSync, rmSync } from "node:fs"
import { createServer, type Socket } from "node:net"
import { join } from "node:path"
import type { SshSource } from "../build.ts"

export interface AgentSocket {
  readonly path: string
  close(): void
}

/** `directory` is made when it is missing; only root may reach the socket in it. */
export const serveAgent = async (ssh: SshSource, id: string, directory: string): Promise<AgentSocket> => {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = join(directory, `s${randomBytes(6).toString("hex")}`)
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
    socket.on("error", () => socket.destroy())
    ssh(id).then(
      (agent) => {
        if (agent === undefined) {
          socket.destroy()
          return
        }
        agent.on("error", () => socket.destroy())
        socket.on("close", () => agent.destroy())
        socket.pipe(agent).pipe(socket)
      },
      () => socket.destroy(),
    )
  })
  const { promise: listening, resolve, reject } = Promise.withResolvers<void>()
  server.once("error", reject)
  server.listen(path, resolve)
  await listening
  return {
    path,
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
      rmSync(path, { force: true })
    },
  }
}
