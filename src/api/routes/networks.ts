// Networks: list, inspect, create, remove, prune, and containers put on them and taken off.
import { failure } from "../../base/errors.ts"
import type { Engine } from "../../engine/engine.ts"
import type { ContainerRecord, NetworkRecord } from "../../state/state.ts"
import { networkConnectSchema, networkCreateSchema, networkDisconnectSchema } from "../../wire/wire.ts"
import { readJson } from "../body.ts"
import type { Call } from "../call.ts"
import { type Filters, flagFilter, labelsMatch } from "../query.ts"
import type { Route } from "../route.ts"
import { networkCreate, networkRequest, networkView } from "../translate/networks.ts"
import { pruneCriteria } from "./prune.ts"

const LIST_FILTERS: ReadonlySet<string> = new Set([
  "dangling",
  "driver",
  "id",
  "label",
  "name",
  "scope",
  "type",
])
const PREDEFINED: ReadonlySet<string> = new Set(["bridge", "host", "none"])

/** Docker's fuzzy filters: the value itself, or a pattern found anywhere. */
function fuzzy(values: readonly string[] | undefined, text: string): boolean {
  if (values === undefined || values.length === 0) return true
  return values.some((value) => {
    if (value === text) return true
    try {
      return new RegExp(value).test(text)
    } catch {
      return false
    }
  })
}

const exact = (values: readonly string[] | undefined, text: string): boolean =>
  values === undefined || values.length === 0 || values.includes(text)

function listFilter(filters: Filters, isUsed: (network: NetworkRecord) => boolean) {
  const dangling = flagFilter(filters, "dangling")
  for (const type of filters.get("type") ?? [])
    if (type !== "builtin" && type !== "custom") throw failure("invalid", `invalid filter: 'type'='${type}'`)
  return (network: NetworkRecord): boolean => {
    const builtin = PREDEFINED.has(network.name)
    if (dangling !== undefined && dangling !== (!builtin && !isUsed(network))) return false
    return (
      exact(filters.get("driver"), network.driver) &&
      fuzzy(filters.get("id"), network.id) &&
      fuzzy(filters.get("name"), network.name) &&
      exact(filters.get("scope"), "local") &&
      exact(filters.get("type"), builtin ? "builtin" : "custom") &&
      labelsMatch(network.labels, filters.get("label"))
    )
  }
}

type Used = Pick<Engine, "networks" | "containers" | "createNetwork" | "removeNetwork" | "pruneNetworks">

export function networkRoutes(engine: Used): Route[] {
  const { networks, containers } = engine
  const running = (): Promise<ContainerRecord[]> => containers.list({ all: false, filters: new Map() })

  async function list(call: Call): Promise<void> {
    const filters = call.query.filters(LIST_FILTERS)
    const members = call.minor < 28 || filters.has("dangling") ? await running() : []
    const isUsed = ({ id }: NetworkRecord) =>
      members.some(({ endpoints }) => endpoints.some(({ network }) => network === id))
    const found = networks.list().filter(listFilter(filters, isUsed))
    // Before 1.28 a list told of containers, too.
    call.json(found.map((network) => networkView(network, call.minor < 28 ? members : [])))
  }

  async function inspect(call: Call): Promise<void> {
    const verbose = call.query.optional("verbose")
    if (verbose !== undefined && !/^(1|0|t|f|true|false)$/i.test(verbose))
      throw failure("invalid", `invalid value for verbose: ${verbose}: strconv.ParseBool: invalid syntax`)
    const scope = call.query.text("scope")
    const network = networks.get(call.param("id"))
    if (scope !== "" && scope !== "local") throw failure("not-found", `network ${call.param("id")} not found`)
    call.json(networkView(network, await running()))
  }

  async function create(call: Call): Promise<void> {
    const request = await readJson(call.request, networkCreateSchema)
    const { network, warning } = await engine.createNetwork(networkCreate(request, call.minor))
    call.json({ Id: network.id, Warning: warning }, 201)
  }

  async function remove(call: Call): Promise<void> {
    await engine.removeNetwork(call.param("id"))
    call.empty()
  }

  async function connect(call: Call): Promise<void> {
    const { Container, EndpointConfig } = await readJson(call.request, networkConnectSchema)
    await containers.connect(Container, networkRequest(call.param("id"), EndpointConfig, call.minor))
    call.empty(200)
  }

  async function disconnect(call: Call): Promise<void> {
    const { Container, Force } = await readJson(call.request, networkDisconnectSchema)
    await containers.disconnect(Container, call.param("id"), { force: Force })
    call.empty(200)
  }

  async function prune(call: Call): Promise<void> {
    const removed = await engine.pruneNetworks(pruneCriteria(call.query))
    call.json({ NetworksDeleted: removed.length > 0 ? removed : null })
  }

  const yes = { support: "yes" } as const
  const path = "/networks/:id"
  return [
    { ...yes, method: "GET", path: "/networks", summary: "List networks", run: list },
    { ...yes, method: "GET", path, summary: "Inspect a network", run: inspect },
    { ...yes, method: "POST", path: "/networks/create", summary: "Create a network", run: create },
    { ...yes, method: "DELETE", path, summary: "Remove a network", run: remove },
    { ...yes, method: "POST", path: `${path}/connect`, summary: "Connect a container", run: connect },
    {
      ...yes,
      method: "POST",
      path: `${path}/disconnect`,
      summary: "Disconnect a container",
      run: disconnect,
    },
    { ...yes, method: "POST", path: "/networks/prune", summary: "Remove unused networks", run: prune },
  ]
}
