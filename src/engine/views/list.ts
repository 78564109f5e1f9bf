// Lists containers by Docker's filters.
import { failure } from "../../base/errors.ts"
import type { Image } from "../../images/images.ts"
import type { ContainerRecord, PublishedPort } from "../../state/state.ts"
import type { Context } from "../context.ts"
import type { ListFilter } from "../engine.ts"
import { isActive } from "../lifecycle/transitions.ts"
import { requestedNetworks } from "../networking/requests.ts"

type Test = (record: ContainerRecord) => boolean

/** Names of the filters that a list of containers knows. */
export const containerFilters: ReadonlySet<string> = new Set([
  "ancestor",
  "before",
  "exited",
  "expose",
  "health",
  "id",
  "is-task",
  "isolation",
  "label",
  "name",
  "network",
  "publish",
  "since",
  "status",
  "volume",
])
const statuses = new Set(["created", "running", "paused", "restarting", "removing", "exited", "dead"])
const healths = new Set(["starting", "healthy", "unhealthy", "none"])

const invalid = (name: string, value: string): never => {
  throw failure("invalid", `invalid filter '${name}=${value}'`)
}

/** Substring or, if it compiles, regular expression, as Docker's id and name filters. */
const fuzzy = (value: string): ((text: string) => boolean) => {
  let pattern: RegExp | undefined
  try {
    pattern = new RegExp(value)
  } catch {
    // Not a pattern: plain text only.
  }
  return (text) => text.includes(value) || (pattern?.test(text) ?? false)
}

/** "80", "80/tcp", "8000-9000/udp" → whether a port is meant. */
const portRange = (name: string, value: string): ((port: number, protocol: string) => boolean) => {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/.exec(value)
  if (match === null) return invalid(name, value)
  const first = Number(match[1])
  const last = Number(match[2] ?? match[1])
  const protocol = match[3] ?? "tcp"
  return (port, own) => own === protocol && port >= first && port <= last
}

const publishes = (value: string): Test => {
  const meant = portRange("publish", value)
  return (record) =>
    record.publishedPorts.some(
      (port: PublishedPort) =>
        meant(port.hostPort, port.protocol) || meant(port.containerPort, port.protocol),
    )
}

const exposes = (value: string): Test => {
  const meant = portRange("expose", value)
  return (record) =>
    record.config.exposedPorts.some((text) => {
      const [port = "", protocol = "tcp"] = text.split("/")
      return meant(Number(port), protocol)
    }) || record.publishedPorts.some((port) => meant(port.containerPort, port.protocol))
}

const labelled = (value: string): Test => {
  const [key = "", wanted] = value.split(/=(.*)/s)
  return ({ config: { labels } }) =>
    wanted === undefined ? Object.hasOwn(labels, key) : labels[key] === wanted
}

/** By name, or by the beginning of its id. */
const onNetwork =
  (value: string): Test =>
  (record) =>
    record.endpoints.some(({ networkName, network }) => networkName === value || network.startsWith(value)) ||
    requestedNetworks(record.config).some(
      ({ network, networkId }) => network === value || networkId?.startsWith(value),
    )

const mountsVolume =
  (value: string): Test =>
  (record) =>
    record.mountPoints.some(
      (point) => point.name === value || point.target === value || point.source === value,
    )

/** Ids of an image and of what was built on it. */
const descendants = async (context: Context, reference: string): Promise<ReadonlySet<string>> => {
  const image = await context.images.find(reference)
  const ids = new Set<string>()
  if (image === undefined) return ids
  ids.add(image.id)
  const onTop = (other: Image) =>
    image.diffIds.length > 0 && image.diffIds.every((diffId, index) => other.diffIds[index] === diffId)
  for (const other of await context.images.list()) if (onTop(other)) ids.add(other.id)
  return ids
}

const testOf = async (context: Context, name: string, value: string): Promise<Test> => {
  switch (name) {
    case "id": {
      const matches = fuzzy(value)
      return (record) => record.id.startsWith(value) || matches(record.id)
    }
    case "name": {
      const matches = fuzzy(value)
      return (record) => matches(record.name) || matches(`/${record.name}`)
    }
    case "label":
      return labelled(value)
    case "status":
      if (!statuses.has(value)) return invalid(name, value)
      return (record) => record.status === value
    case "health":
      if (!healths.has(value)) return invalid(name, value)
      return (record) => (record.health?.status ?? "none") === value
    case "exited": {
      if (!/^-?\d+$/.test(value)) return invalid(name, value)
      return (record) => record.exitCode === Number(value) && record.status === "exited"
    }
    case "ancestor": {
      const ids = await descendants(context, value)
      return (record) => ids.has(record.imageId)
    }
    case "before":
    case "since": {
      const { createdAt } = context.catalogue.get(value)
      return name === "before"
        ? (record) => record.createdAt < createdAt
        : (record) => record.createdAt > createdAt
    }
    case "volume":
      return mountsVolume(value)
    case "network":
      return onNetwork(value)
    case "publish":
      return publishes(value)
    case "expose":
      return exposes(value)
    case "is-task":
      if (value !== "true" && value !== "false") return invalid(name, value)
      return () => value === "false"
    case "isolation":
      return (record) => record.config.isolation === value
    default:
      throw failure("invalid", `invalid filter '${name}'`)
  }
}

/** Newest first. Values of one filter are alternatives (all, for labels); filters are all required. */
export const listContainers = async (context: Context, filter: ListFilter): Promise<ContainerRecord[]> => {
  const required: Test[] = []
  for (const [name, values] of filter.filters) {
    if (!containerFilters.has(name)) throw failure("invalid", `invalid filter '${name}'`)
    const tests = await Promise.all(values.map((value) => testOf(context, name, value)))
    if (tests.length === 0) continue
    required.push((record) =>
      name === "label" ? tests.every((test) => test(record)) : tests.some((test) => test(record)),
    )
  }
  const everything =
    filter.all || (filter.limit ?? 0) > 0 || filter.filters.has("status") || filter.filters.has("exited")
  const chosen = context.catalogue
    .list()
    .filter((record) => (everything || isActive(record.status)) && required.every((test) => test(record)))
    .sort((first, second) => second.createdAt - first.createdAt)
  return filter.limit !== undefined && filter.limit > 0 ? chosen.slice(0, filter.limit) : chosen
}
