// Builds what a verb acts with: output, and a client that starts the daemon when none answers on the default socket.
import { EngineClient } from "../client/client.ts"
import type { Choice } from "./contexts/choose.ts"
import { StandardOutput } from "./output.ts"
import type { Context } from "./verb.ts"

type Environment = Readonly<Record<string, string | undefined>>

/** Where `sloop daemon` listens by itself; SLOOP_RUN_ROOT moves it. */
const defaultSocket = (env: Environment): string => `${env.SLOOP_RUN_ROOT || "/run/sloop"}/sloop.sock`

// As a program that SIGPIPE killed: nobody is left to read a message.
const readerGone = (): never => process.exit(141)

export const standardOutput = new StandardOutput(1, readerGone)
export const standardError = new StandardOutput(2, readerGone)

/** `config` is the directory of the client's own files, when it is not the usual one. */
export function createContext({
  choice,
  verb,
  config,
}: {
  choice: Choice
  verb: string
  config?: string | undefined
}): Context {
  const socket = defaultSocket(process.env)
  const start = async () => {
    const { startDaemon } = await import("./start-daemon.ts")
    await startDaemon(socket, process.env)
  }
  const ownHost = `unix://${socket}`
  const host = choice.host ?? ownHost
  return {
    client: new EngineClient(host, {
      tls: choice.tls,
      ...(host === ownHost ? { whenUnreachable: start } : {}),
    }),
    contextName: choice.context,
    ownHost,
    out: standardOutput,
    err: standardError,
    get stdin() {
      return process.stdin
    },
    env: config ? { ...process.env, SLOOP_CONFIG: config } : process.env,
    verb,
    print: (line) => void standardOutput.write(`${line}\n`),
    warn: (line) => void standardError.write(`${line}\n`),
  }
}
