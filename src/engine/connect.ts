// Start: which namespaces and which network a container gets.
import { existsSync } from "node:fs"
import { join } from "node:path"
import { failure } from "../base/errors.ts"
import type { BindMount } from "../kernel/mount.ts"
import type { Attachment } from "../network/network.ts"
import type { ContainerRecord } from "../state/state.ts"
import type { Context } from "./context.ts"
import { resolveLinks } from "./links.ts"
import { sharedManagedFiles, writeManagedFiles } from "./managed-files.ts"
import { runDirectory } from "./places.ts"
import { plainTexts } from "./plain-network.ts"

export interface Connection {
  readonly namespace: string
  /** Absent when another's network, or none to give back, is used. */
  readonly attachment?: Attachment
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

/** Prepares the network and the managed files. What it joined must be left by the caller if the start fails. */
export const connectContainer = async (context: Context, record: ContainerRecord): Promise<Connection> => {
  const { config } = record
  const directory = runDirectory(context, record.id)
  const mode = config.networkDisabled ? "none" : config.networkMode
  if (mode.startsWith("container:")) {
    const pid = joinedPid(context, mode, "network")
    const owner = runDirectory(context, mode.slice("container:".length))
    const files = ["hostname", "hosts", "resolv.conf"].filter((file) => existsSync(join(owner, file)))
    return { namespace: `/proc/${pid}/ns/net`, managed: sharedManagedFiles(owner, files), linkedEnv: [] }
  }
  if (mode === "none" || mode === "host") {
    const managed = writeManagedFiles(directory, { hostname: config.hostname, ...plainTexts(mode, config) })
    return { namespace: mode === "host" ? "host" : "new", managed, linkedEnv: [] }
  }
  const links = resolveLinks(context, record)
  const attachment = await context.networks.join({
    containerId: record.id,
    containerName: record.name,
    hostname: config.hostname,
    domainname: config.domainname,
    mode,
    networks: config.networks,
    ports: config.ports,
    exposedPorts: config.exposedPorts,
    publishAll: config.publishAllPorts,
    macAddress: config.macAddress,
    extraHosts: config.extraHosts,
    dns: config.dns,
    dnsSearch: config.dnsSearch,
    dnsOptions: config.dnsOptions,
    links: links.addresses,
  })
  try {
    const managed = writeManagedFiles(directory, {
      hostname: config.hostname,
      hosts: attachment.hosts,
      resolvConf: attachment.resolvConf,
    })
    return { namespace: attachment.namespace, attachment, managed, linkedEnv: links.env }
  } catch (error) {
    await context.networks.leave(attachment.lease)
    throw error
  }
}
