// SSH agents that a build may use: the one that runs, or one of our own that holds the keys given.
import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { failure } from "../../base/errors.ts"
import type { Connection } from "../../client/client.ts"
import type { Agent } from "./secrets.ts"

export interface OpenedAgent {
  /** Joins both until either ends. */
  join(connection: Connection): void
  /** Ends an agent of our own. */
  end(): void
}

/** Throws when ssh's programs are not there or do not take a key. */
export async function openAgent(agent: Agent): Promise<OpenedAgent> {
  if ("socket" in agent) return { join: (connection) => joined(agent.socket, connection), end: () => {} }
  const directory = mkdtempSync(join(tmpdir(), "sloop-agent-"))
  const socket = join(directory, "agent")
  const child = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" })
  const failed = new Promise<never>((_, reject) => {
    child.once("error", (cause) =>
      reject(
        failure("unavailable", "ssh-agent could not be started: install OpenSSH to use keys", { cause }),
      ),
    )
  })
  failed.catch(() => undefined)
  const end = () => {
    child.kill()
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    await Promise.race([failed, listening(socket)])
    const added = spawnSync("ssh-add", ["-q", ...agent.keys], {
      env: { ...process.env, SSH_AUTH_SOCK: socket },
      stdio: ["inherit", "ignore", "pipe"],
      encoding: "utf8",
    })
    if (added.status !== 0)
      throw failure(
        "invalid",
        `the keys ${agent.keys.join(", ")} cannot be used: ${(added.stderr ?? "").trim()}`,
      )
  } catch (error) {
    end()
    throw error
  }
  return { join: (connection) => joined(socket, connection), end }
}

async function listening(socket: string): Promise<void> {
  for (let turn = 0; turn < 500; turn++) {
    const there = await new Promise<boolean>((resolve) => {
      const probe = connect(socket)
      probe.once("connect", () => {
        probe.destroy()
        resolve(true)
      })
      probe.once("error", () => resolve(false))
    })
    if (there) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw failure("unavailable", "ssh-agent does not answer")
}

function joined(path: string, connection: Connection): void {
  const socket = connect(path)
  const end = () => {
    socket.destroy()
    connection.close()
  }
  socket.on("error", end)
  socket.on("close", end)
  socket.on("data", (bytes: Buffer) => {
    connection.write(bytes).catch(end)
  })
  void (async () => {
    for (let bytes = await connection.read(); bytes; bytes = await connection.read()) socket.write(bytes)
    socket.end()
  })().catch(end)
}
