// Legacy links on the default bridge: another container's address by alias, and its ports as variables.
import { failure } from "../../base/errors.ts"
import type { LinkedContainer } from "../../network/network.ts"
import type { ContainerRecord } from "../../state/state.ts"
import type { Context } from "../context.ts"
import { isUserDefined, requestedNetworks } from "./requests.ts"

export interface Links {
  readonly addresses: readonly LinkedContainer[]
  readonly env: readonly string[]
}

const variables = (
  record: ContainerRecord,
  other: ContainerRecord,
  alias: string,
  ipv4: string,
): string[] => {
  const prefix = alias.toUpperCase().replaceAll("-", "_")
  const env = [`${prefix}_NAME=/${record.name}/${alias}`]
  for (const [index, exposed] of other.config.exposedPorts.entries()) {
    const [port = "", protocol = "tcp"] = exposed.split("/")
    if (index === 0) env.push(`${prefix}_PORT=${protocol}://${ipv4}:${port}`)
    const own = `${prefix}_PORT_${port}_${protocol.toUpperCase()}`
    env.push(
      `${own}=${protocol}://${ipv4}:${port}`,
      `${own}_ADDR=${ipv4}`,
      `${own}_PORT=${port}`,
      `${own}_PROTO=${protocol}`,
    )
  }
  for (const entry of other.config.env) {
    if (!/^(PATH|HOSTNAME|HOME|TERM)=/.test(entry)) env.push(`${prefix}_ENV_${entry}`)
  }
  return env
}

/**
 * "name:alias" of every link on the default bridge; on networks of the user's own a link is an alias, which is the
 * network's matter. Throws conflict when a linked container does not run; with `onlyLiving` those are left out.
 */
export const resolveLinks = (
  context: Context,
  record: ContainerRecord,
  options: { onlyLiving?: boolean } = {},
): Links => {
  const { config } = record
  const onBridge = requestedNetworks(config).some(({ network }) => network === "bridge")
  if (config.links.length === 0 || isUserDefined(config.networkMode) || !onBridge)
    return { addresses: [], env: [] }
  const addresses: LinkedContainer[] = []
  const env: string[] = []
  for (const link of record.config.links) {
    const [reference = "", alias = reference] = link.split(":")
    const other = options.onlyLiving ? context.catalogue.find(reference) : context.catalogue.get(reference)
    if (other === undefined || (options.onlyLiving && other.status !== "running")) continue
    if (other.status !== "running")
      throw failure(
        "conflict",
        `Cannot link to a non running container: /${other.name} AS /${record.name}/${alias}`,
      )
    const ipv4 = other.endpoints.find(({ networkName }) => networkName === "bridge")?.ipv4
    if (ipv4 === undefined)
      throw failure("conflict", `Cannot link to /${other.name}, as it does not belong to the default network`)
    addresses.push({ name: other.name, hostname: other.config.hostname, alias, ipv4 })
    env.push(...variables(record, other, alias, ipv4))
  }
  return { addresses, env }
}

/**
 * Takes a link back, named "container/alias" as Docker names it; the other container stays. What the container was told at
 * its start (its hosts file, its variables) it keeps until the next one.
 */
export const removeLink = async (context: Context, reference: string): Promise<void> => {
  const path = reference.replace(/^\//, "")
  const at = path.lastIndexOf("/")
  if (at < 0) throw failure("conflict", "Conflict, cannot remove the default link name of the container")
  const alias = path.slice(at + 1)
  const { id } = context.catalogue.get(path.slice(0, at))
  await context.mutex.run(id, async () => {
    const record = context.catalogue.get(id)
    const links = record.config.links.filter((link) => (link.split(":")[1] ?? link) !== alias)
    if (links.length === record.config.links.length)
      throw failure("not-found", `No such link: ${alias} of the container ${record.name}`)
    context.catalogue.change(id, { config: { ...record.config, links } })
  })
}
