// Start: which namespaces and which networks a container gets.
import { existsSync } from "node:fs"
import { join } from "node:path"
import { errorKind, errorMessage, failure } from "../../base/errors.ts"
import { newId } from "../../base/ids.ts"
import type { BindMount } from "../../kernel/mount.ts"
import { type Attachment, plainTexts } from "../../network/network.ts"
import type { ContainerRecord, EndpointRecord, NetworkRequest } from "../../state/state.ts"
import type { Context } from "../context.ts"
import { runDirectory } from "../places.ts"
import { resolveLinks } from "./links.ts"
import { sharedManagedFiles, writeManagedFiles } from "./managed-files.ts"
import { joinRequest, requestedNetworks, settledNetworks } from "./requests.ts"

export interface Connection {
  readonly namespace: string
  /** Absent when another's network, or none to give back, is used. */
  readonly attachment?: Attachment
  readonly endpoints: readonly EndpointRecord[]
  /** The networks as they are called now; undefined = nothing to remember of them. */
  readonly networks?: readonly NetworkRequest[]
  readonly managed: readonly BindMount[]
  readonly linkedEnv: readonly string[]
}

/** The host pid of a container whose namespaces are joined. */
const joinedPid = (context: Context, mode: string, what: string): number => {
  const id = mode.slice("container:".length)
  const record = context.catalogue.get(id)
  const pid = context.live.find(record.id)?.task?.pid
  if (pid === undefined) {
    throw failure("conflict", `cannot join ${what} of a non running container: ${record.id}`)
  }
  return pid
}

const sharedIpcPid = (context: Context, mode: string): number => {
  const pid = joinedPid(context, mode, "IPC")
  const donor = context.catalogue.get(mode.slice("container:".length))
  if (donor.config.ipcMode !== "shareable") {
    throw failure(
      "conflict",
      `cannot join IPC of container ${donor.id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
    )
  }
  return pid
}

/** Paths of namespaces that other containers lend. */
export const joinedNamespaces = (
  context: Context,
  record: ContainerRecord,
): { pid?: string; ipc?: string; uts?: string } => {
  const { pidMode, ipcMode } = record.config
  return {
    ...(pidMode.startsWith("container:") && { pid: `/proc/${joinedPid(context, pidMode, "PID")}/ns/pid` }),
    ...(ipcMode.startsWith("container:") && { ipc: `/proc/${sharedIpcPid(context, ipcMode)}/ns/ipc` }),
  }
}

/** The words by which clients and exit codes know that a start failed for its networks. */
export const NETWORKING_FAILED = "failed to set up container networking"

/** A place on "host" or "none": an id and no address. */
const bareEndpoint = (context: Context, name: "host" | "none"): EndpointRecord[] => {
  const network = context.networks.find(name)
  if (network === undefined) return []
  return [{ network: network.id, networkName: name, endpointId: newId(), macAddress: "", aliases: [] }]
}

const joinAnother = (context: Context, mode: string): Connection => {
  const pid = joinedPid(context, mode, "network")
  const owner = runDirectory(context, mode.slice("container:".length))
  const files = ["hostname", "hosts", "resolv.conf"].filter((file) => existsSync(join(owner, file)))
  const managed = sharedManagedFiles(owner, files)
  return { namespace: `/proc/${pid}/ns/net`, managed, linkedEnv: [], endpoints: [] }
}

const joinNothing = (context: Context, record: ContainerRecord, name: "host" | "none" | ""): Connection => {
  const { config } = record
  const texts = plainTexts(name === "host" ? "host" : "none", config)
  const managed = writeManagedFiles(runDirectory(context, record.id), { hostname: config.hostname, ...texts })
  const endpoints = name === "" ? [] : bareEndpoint(context, name)
  return { namespace: name === "host" ? "host" : "new", managed, linkedEnv: [], endpoints }
}

const joinNetworks = async (
  context: Context,
  record: ContainerRecord,
  requests: readonly NetworkRequest[],
): Promise<Connection> => {
  const links = resolveLinks(context, record)
  const networks = settledNetworks(context.networks, requests)
  const attachment = await context.networks.join(joinRequest(record, networks, links.addresses))
  try {
    const managed = writeManagedFiles(runDirectory(context, record.id), {
      hostname: record.config.hostname,
      hosts: attachment.hosts,
      resolvConf: attachment.resolvConf,
    })
    const { namespace, endpoints } = attachment
    return { namespace, attachment, managed, linkedEnv: links.env, endpoints, networks }
  } catch (error) {
    await context.networks.leave(attachment.lease)
    throw error
  }
}

/** Prepares the networks and the managed files. What it joined must be left by the caller if the start fails. */
export const connectContainer = async (context: Context, record: ContainerRecord): Promise<Connection> => {
  const { config } = record
  if (!config.networkDisabled && config.networkMode.startsWith("container:"))
    return joinAnother(context, config.networkMode)
  const requests = requestedNetworks(config)
  const [first] = requests
  if (first === undefined) return joinNothing(context, record, "")
  if (first.network === "none" || first.network === "host") return joinNothing(context, record, first.network)
  try {
    return await joinNetworks(context, record, requests)
  } catch (error) {
    const message = `${NETWORKING_FAILED}: ${errorMessage(error)}`
    throw failure(errorKind(error), message, { cause: error instanceof Error ? error.cause : error })
  }
}
