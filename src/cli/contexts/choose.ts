// Which engine is meant: -H, then --context, then SLOOP_HOST and DOCKER_HOST, DOCKER_CONTEXT, config.json's currentContext.
import { errorMessage, failure } from "../../base/errors.ts"
import type { Tls } from "../../client/client.ts"
import type { Parsed } from "../flags.ts"
import { fileSystem, system } from "../lazy-modules.ts"

type Environment = Readonly<Record<string, string | undefined>>

export interface Choice {
  /** Name of the context; "default" is none. */
  readonly context: string
  /** Undefined: this machine's own engine. */
  readonly host?: string
  readonly tls?: Tls
}

/** Directory of config.json and contexts. */
export const configDirectoryOf = (env: Environment, flag?: string): string =>
  flag || env.SLOOP_CONFIG || env.DOCKER_CONFIG || `${env.HOME || system().homedir()}/.docker`

/** currentContext of config.json; a file that cannot be read names none. */
export async function currentContext(config: string): Promise<string | undefined> {
  // Every command reads it, most need no other file: without node:fs that takes half as long.
  const text = await Bun.file(`${config}/config.json`)
    .text()
    .catch(() => "")
  return /"currentContext"\s*:\s*"([^"]+)"/.exec(text)?.[1]
}

/** Name of the context that holds when no flag says otherwise. */
const contextInForce = async (env: Environment, config: string): Promise<string> =>
  env.SLOOP_HOST || env.DOCKER_HOST
    ? "default"
    : env.DOCKER_CONTEXT || (await currentContext(config)) || "default"

const truth = (value: string | undefined): boolean => value !== undefined && value !== ""

/** What --tls and its kind, or DOCKER_TLS_VERIFY, ask for; undefined when they ask for nothing. */
function tlsAsked(globals: Parsed, env: Environment, config: string): Tls | undefined {
  const verify = globals.given("tlsverify") ? globals.bool("tlsverify") : truth(env.DOCKER_TLS_VERIFY)
  if (!verify && !globals.bool("tls") && !truth(env.DOCKER_TLS)) return undefined
  const directory = env.DOCKER_CERT_PATH || config
  const { existsSync, readFileSync } = fileSystem()
  const read = (flag: string, file: string): string | undefined => {
    const path = globals.string(flag) ?? `${directory}/${file}`
    if (!globals.given(flag) && !existsSync(path)) return undefined
    try {
      return readFileSync(path, "utf8")
    } catch (cause) {
      throw failure("invalid", `cannot read the file of --${flag}: ${errorMessage(cause)}`, { cause })
    }
  }
  const [ca, cert, key] = [
    read("tlscacert", "ca.pem"),
    read("tlscert", "cert.pem"),
    read("tlskey", "key.pem"),
  ]
  return { verify, ...(ca ? { ca } : {}), ...(cert ? { cert } : {}), ...(key ? { key } : {}) }
}

/** Throws Failure "invalid" for flags that contradict each other, "not-found" for a context that is not there. */
export async function chooseEngine(globals: Parsed, env: Environment): Promise<Choice> {
  const hosts = globals.list("host")
  const config = configDirectoryOf(env, globals.string("config"))
  const named = globals.string("context")
  if (hosts.length > 0 && named)
    throw failure("invalid", "conflicting options: cannot specify both --host and --context")
  if (hosts.length > 1) throw failure("invalid", "specify only one -H")
  const name = named || (hosts.length > 0 ? "default" : await contextInForce(env, config))
  if (name === "default") {
    const host = hosts[0] || (named ? undefined : env.SLOOP_HOST) || env.DOCKER_HOST
    const tls = host?.startsWith("tcp:") ? tlsAsked(globals, env, config) : undefined
    return { context: name, ...(host ? { host } : {}), ...(tls ? { tls } : {}) }
  }
  const { getContext, tlsOf } = await import("./store.ts")
  const meta = getContext(config, name)
  const tls = tlsOf(config, meta)
  const host = meta.Endpoints.docker?.Host
  return { context: name, ...(host ? { host } : {}), ...(tls ? { tls } : {}) }
}
