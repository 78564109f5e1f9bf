// The built-in registry as a process, for clients that push and pull.
import { spawn } from "node:child_process"
import { join } from "node:path"
import { program } from "../fixtures/engine.ts"

export interface ServedRegistry {
  /** "127.0.0.1:PORT". */
  readonly address: string
  close(): Promise<void>
}

/** Starts `sloop registry serve` with its files in `directory`. */
export const serveRegistry = async (directory: string): Promise<ServedRegistry> => {
  const [command = "", ...words] = program()
  const flags = ["registry", "serve", "--address", "127.0.0.1:0", "--data-root", join(directory, "registry")]
  const child = spawn(command, [...words, ...flags], { stdio: ["ignore", "pipe", "inherit"] })
  const ended = new Promise((resolve) => child.once("exit", resolve))
  const address = await new Promise<string>((resolve, reject) => {
    let said = ""
    child.stdout.on("data", (chunk: Buffer) => {
      said += chunk
      const host = /registry ready at http:\/\/(\S+)/.exec(said)?.[1]
      if (host !== undefined) resolve(host)
    })
    child.once("exit", () => reject(new Error("sloop registry serve ended before it was ready")))
  })
  return {
    address,
    async close() {
      child.kill("SIGTERM")
      await ended
    },
  }
}
