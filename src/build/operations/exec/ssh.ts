// A forwarded SSH agent: a socket that a step finds, and a connection to the client's agent for each that the step opens.
import { chmodSync, chownSync, rmSync } from "node:fs"
import { createServer, type Socket } from "node:net"
import { join } from "node:path"
import type { Duplex } from "node:stream"
import { errorMessage } from "../../../base/errors.ts"
import { createLog } from "../../../base/log.ts"
import type { ExecMount } from "../../graph/graph.ts"
import type { StepRun } from "../operations.ts"
import type { StepPlace } from "./places.ts"

const log = createLog("build")

export interface ForwardedAgent {
  /** Host path of the socket. */
  readonly path: string
  close(): void
}

const joinStreams = (client: Socket, agent: Duplex): void => {
  const end = () => {
    client.destroy()
    agent.destroy()
  }
  client.on("error", end)
  agent.on("error", end)
  client.once("close", () => agent.destroy())
  agent.once("close", () => client.destroy())
  client.pipe(agent)
  agent.pipe(client)
}

/** Listens for the step; undefined when the client has no agent of that id. */
export const forwardAgent = async (
  mount: Extract<ExecMount, { readonly type: "ssh" }>,
  { directory }: StepPlace,
  index: number,
  { request }: StepRun,
): Promise<ForwardedAgent | undefined> => {
  const probe = await request.ssh(mount.id)
  if (probe === undefined) return undefined
  // It showed that there is one.
  probe.on("error", () => undefined)
  probe.destroy()
  const path = join(directory, `ssh.${index}`)
  const open = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (client) => {
    open.add(client)
    client.once("close", () => open.delete(client))
    client.on("error", () => client.destroy())
    request.ssh(mount.id).then(
      (agent) => {
        if (agent === undefined) client.destroy()
        else joinStreams(client, agent)
      },
      (error: unknown) => {
        log.warn("the SSH agent of a client cannot be reached", { id: mount.id, error: errorMessage(error) })
        client.destroy()
      },
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(path, resolve)
  })
  chmodSync(path, mount.mode & 0o777)
  chownSync(path, mount.uid, mount.gid)
  return {
    path,
    close() {
      server.close()
      for (const client of open) client.destroy()
      rmSync(path, { force: true })
    },
  }
}
