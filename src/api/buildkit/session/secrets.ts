// What a session tells only when asked: secrets, registry credentials; and connections to its SSH agents.
import type { Duplex } from "node:stream"
import type { BuildRequest, SecretSource, SshSource } from "../../../build/build.ts"
import { BytesMessage, Empty } from "../../../wire/buildkit/control.ts"
import {
  CheckAgentRequest,
  CredentialsRequest,
  CredentialsResponse,
  GetSecretRequest,
  GetSecretResponse,
} from "../../../wire/buildkit/session.ts"
import { byteStream } from "../grpc/byte-stream.ts"
import { CODE, GrpcFailure } from "../grpc/status.ts"
import type { Session } from "./sessions.ts"

const SECRET = "/moby.buildkit.secrets.v1.Secrets/GetSecret"
const CREDENTIALS = "/moby.filesync.v1.Auth/Credentials"
const CHECK_AGENT = "/moby.sshforward.v1.SSH/CheckAgent"
const FORWARD_AGENT = "/moby.sshforward.v1.SSH/ForwardAgent"

const absent = (error: unknown): boolean =>
  error instanceof GrpcFailure && (error.code === CODE.notFound || error.code === CODE.unimplemented)

export const sessionSecrets =
  (session: Session): SecretSource =>
  async (id, signal) => {
    if (!session.supports(SECRET)) return undefined
    try {
      const options = { signal: AbortSignal.any([signal, session.connection.gone]) }
      return (await session.connection.unary(SECRET, GetSecretRequest, GetSecretResponse, { id }, options))
        .data
    } catch (error) {
      if (absent(error)) return undefined
      throw error
    }
  }

/** The client's own names for the one registry that has two. */
const hostOf = (domain: string): string => (domain === "docker.io" ? "registry-1.docker.io" : domain)

export const sessionCredentials =
  (session: Session): BuildRequest["credentials"] =>
  async (domain, signal) => {
    if (!session.supports(CREDENTIALS)) return undefined
    try {
      const { username, secret } = await session.connection.unary(
        CREDENTIALS,
        CredentialsRequest,
        CredentialsResponse,
        { host: hostOf(domain) },
        { signal: AbortSignal.any([signal, session.connection.gone]) },
      )
      if (username === "" && secret === "") return undefined
      // Without a name, the secret is the token of a login.
      return username === ""
        ? { username: "", password: "", identityToken: secret, registryToken: "" }
        : { username, password: secret, identityToken: "", registryToken: "" }
    } catch (error) {
      if (absent(error)) return undefined
      throw error
    }
  }

export const sessionAgents =
  (session: Session): SshSource =>
  async (id) => {
    if (!session.supports(CHECK_AGENT)) return undefined
    try {
      await session.connection.unary(CHECK_AGENT, CheckAgentRequest, Empty, { id })
    } catch (error) {
      if (session.connection.gone.aborted) throw error
      return undefined
    }
    return agentConnection(session, id === "" ? "default" : id)
  }

function agentConnection(session: Session, id: string): Duplex {
  const call = session.connection.call(FORWARD_AGENT, BytesMessage, BytesMessage, {
    metadata: { "buildkit.ssh.id": [id] },
  })
  return byteStream(
    call,
    (connection) => connection.push(null),
    (connection, error) => connection.destroy(error instanceof Error ? error : new Error(String(error))),
    {
      final(done) {
        call.end()
        done()
      },
      destroy(error, done) {
        call.cancel()
        done(error)
      },
    },
  )
}
