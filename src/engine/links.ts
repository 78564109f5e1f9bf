// Legacy links on the default bridge: another container's address by alias, and its ports as variables.
import { failure } from "../base/errors.ts"
import type { ContainerRecord } from "../state/state.ts"
import type { Context } from "./context.ts"

export interface Links {
  readonly addresses: readonly { readonly name: string; readonly alias: string; readonly ipv4: string }[]
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

/** "name:alias" of every link. Throws conflict when a linked container does not run. */
export const resolveLinks = (context: Context, record: ContainerRecord): Links => {
  if (record.config.links.length === 0) return { addresses: [], env: [] }
  const addresses: { name: string; alias: string; ipv4: string }[] = []
  const env: string[] = []
  for (const link of record.config.links) {
    const [reference = "", alias = reference] = link.split(":")
    const other = context.catalogue.get(reference)
    const ipv4 = other.endpoints.find((endpoint) => endpoint.ipv4 !== undefined)?.ipv4
    if (other.status !== "running" || ipv4 === undefined) {
      throw failure(
        "conflict",
        `Cannot link to a non running container: /${other.name} AS /${record.name}/${alias}`,
      )
    }
    addresses.push({ name: other.name, alias, ipv4 })
    env.push(...variables(record, other, alias, ipv4))
  }
  return { addresses, env }
}
