// Builds what a verb acts with: output, and a client that starts the daemon when none answers on the default socket.
import { EngineClient } from "../client/client.ts"
import { startDaemon } from "./start-daemon.ts"
import type { Context } from "./verb.ts"

export const defaultSocket = "/run/sloop/sloop.sock"

/** DOCKER_HOST is honoured after SLOOP_HOST, so that a shell set up for docker can reach its engine through sloop too. */
export const defaultHost = (env: Readonly<Record<string, string | undefined>>): string =>
  env.SLOOP_HOST ?? env.DOCKER_HOST ?? `unix://${defaultSocket}`

export function createContext({ host, verb }: { host: string; verb: string }): Context {
  const whenUnreachable = host === `unix://${defaultSocket}` ? () => startDaemon(defaultSocket) : undefined
  return {
    client: new EngineClient(host, { whenUnreachable }),
    out: process.stdout,
    err: process.stderr,
    stdin: process.stdin,
    env: process.env,
    verb,
    print: (line) => void process.stdout.write(`${line}\n`),
    warn: (line) => void process.stderr.write(`${line}\n`),
  }
}
