// What a session of the tests offers: a directory in memory, files taken, secrets, accounts, an SSH agent, an upload.
import { duplex, type Method, unary } from "../../src/api/buildkit/grpc/server.ts"
import { CODE, GrpcFailure } from "../../src/api/buildkit/grpc/status.ts"
import { BytesMessage, Empty } from "../../src/wire/buildkit/control.ts"
import type { Decoded, Given } from "../../src/wire/buildkit/protobuf.ts"
import {
  CheckAgentRequest,
  CredentialsRequest,
  CredentialsResponse,
  GetSecretRequest,
  GetSecretResponse,
  PACKET,
  Packet,
  type Stat,
} from "../../src/wire/buildkit/session.ts"

/** Go's bits for directories and symbolic links. */
export const GO_DIRECTORY = 2 ** 31
export const GO_SYMLINK = 2 ** 27

export interface OfferedFile extends Given<Decoded<typeof Stat>> {
  readonly path: string
  readonly content?: string | Uint8Array
}

export const file = (
  path: string,
  content: string | Uint8Array,
  more: Partial<OfferedFile> = {},
): OfferedFile => ({
  path,
  mode: 0o644,
  size: Buffer.from(content).length,
  modTime: 1_700_000_000_000_000_000n,
  content,
  ...more,
})

export const directory = (path: string): OfferedFile => ({ path, mode: GO_DIRECTORY + 0o755 })

/** What was asked of the files: names of directories, patterns, and the paths whose contents were wanted. */
export interface Asked {
  readonly directories: { readonly name: string; readonly exclude: readonly string[] }[]
  readonly contents: string[]
}

const SYNC = "/moby.filesync.v1.FileSync/DiffCopy"
const SEND = "/moby.filesync.v1.FileSend/DiffCopy"

/** Directories by name. Only `followpaths` is obeyed of the patterns. */
export function offeredFiles(
  directories: Readonly<Record<string, readonly OfferedFile[]>>,
  asked: Asked = { directories: [], contents: [] },
): Record<string, Method> {
  return {
    [SYNC]: duplex(Packet, Packet, async (call) => {
      const [name = ""] = call.metadata("dir-name")
      const decode = call.metadata("exclude-patterns-encoded")[0] === "1"
      const exclude = call
        .metadata("exclude-patterns")
        .map((one) => (decode ? decodeURIComponent(one.replaceAll("+", " ")) : one))
      asked.directories.push({ name, exclude })
      const all = directories[name]
      if (all === undefined) throw new GrpcFailure(CODE.notFound, `no access allowed to dir "${name}"`)
      const follow = call.metadata("followpaths")
      const listed = follow.length === 0 ? all : all.filter(({ path }) => follow.includes(path))
      for (const { content: _, ...stat } of listed) await call.send({ type: PACKET.stat, stat })
      await call.send({ type: PACKET.stat })
      for (;;) {
        const packet = await call.receive()
        if (packet === undefined) throw new GrpcFailure(CODE.unknown, "the receiver ended early")
        if (packet.type === PACKET.end) return void (await call.send({ type: PACKET.end }))
        if (packet.type !== PACKET.request) throw new GrpcFailure(CODE.unknown, `odd packet ${packet.type}`)
        const wanted = listed[packet.id]
        asked.contents.push(wanted?.path ?? "?")
        const bytes = Buffer.from(wanted?.content ?? "")
        for (let at = 0; at < bytes.length; at += 32 << 10)
          await call.send({ type: PACKET.data, id: packet.id, data: bytes.subarray(at, at + (32 << 10)) })
        await call.send({ type: PACKET.data, id: packet.id })
      }
    }),
  }
}

/** Takes the file that an exporter sends, with the metadata of its place. */
export function takenFile(taken: { bytes: Buffer; index: string }): Record<string, Method> {
  return {
    [SEND]: duplex(BytesMessage, BytesMessage, async (call) => {
      taken.index = call.metadata("buildkit-attachable-exporter-id")[0] ?? ""
      const chunks: Uint8Array[] = []
      for (let next = await call.receive(); next !== undefined; next = await call.receive())
        chunks.push(next.data)
      taken.bytes = Buffer.concat(chunks)
    }),
  }
}

/** Takes the tree that the local exporter sends: paths and contents, asked for as soon as they are listed. */
export function takenTree(tree: Map<string, string>): Record<string, Method> {
  return {
    [SEND]: duplex(Packet, Packet, async (call) => {
      const listed: Decoded<typeof Stat>[] = []
      const open = new Map<number, Buffer[]>()
      let complete = false
      const mayEnd = async () => {
        if (complete && open.size === 0) await call.send({ type: PACKET.end })
      }
      for (let packet = await call.receive(); packet !== undefined; packet = await call.receive()) {
        if (packet.type === PACKET.end) return
        if (packet.type === PACKET.stat && packet.stat === undefined) {
          complete = true
          await mayEnd()
        } else if (packet.type === PACKET.stat && packet.stat !== undefined) {
          const id = listed.push(packet.stat) - 1
          tree.set(packet.stat.path, packet.stat.linkname)
          if (packet.stat.mode < 2 ** 19 * 2) {
            open.set(id, [])
            await call.send({ type: PACKET.request, id })
          }
        } else if (packet.data.length > 0) open.get(packet.id)?.push(Buffer.from(packet.data))
        else {
          tree.set(listed[packet.id]?.path ?? "?", Buffer.concat(open.get(packet.id) ?? []).toString())
          open.delete(packet.id)
          await mayEnd()
        }
      }
    }),
  }
}

export const offeredSecrets = (secrets: Readonly<Record<string, string>>): Record<string, Method> => ({
  "/moby.buildkit.secrets.v1.Secrets/GetSecret": unary(GetSecretRequest, GetSecretResponse, ({ id }) => {
    const secret = secrets[id]
    if (secret === undefined) throw new GrpcFailure(CODE.notFound, `secret ${id} not found`)
    return { data: Buffer.from(secret) }
  }),
})

export const offeredAccounts = (
  accounts: Readonly<Record<string, { readonly username: string; readonly secret: string }>>,
): Record<string, Method> => ({
  "/moby.filesync.v1.Auth/Credentials": unary(
    CredentialsRequest,
    CredentialsResponse,
    ({ host }) => accounts[host] ?? {},
  ),
})

/** An agent that answers every piece with the same bytes. */
export const offeredAgent = (answer: Uint8Array): Record<string, Method> => ({
  "/moby.sshforward.v1.SSH/CheckAgent": unary(CheckAgentRequest, Empty, ({ id }) => {
    if (id !== "default") throw new GrpcFailure(CODE.unknown, `unset ssh forward key ${id}`)
    return {}
  }),
  "/moby.sshforward.v1.SSH/ForwardAgent": duplex(BytesMessage, BytesMessage, async (call) => {
    while ((await call.receive()) !== undefined) await call.send({ data: answer })
  }),
})

export const offeredUpload = (bytes: Uint8Array): Record<string, Method> => ({
  "/moby.upload.v1.Upload/Pull": duplex(BytesMessage, BytesMessage, async (call) => {
    if (call.metadata("urlpath")[0] !== "/up") throw new GrpcFailure(CODE.unknown, "no such upload")
    await call.send({ data: bytes })
  }),
})
