// Networks: the ones that every engine has. Creating others is not there yet and says so.
import { failure } from "../../base/errors.ts"
import type { Engine } from "../../engine/engine.ts"
import { networkCreateSchema } from "../../wire/wire.ts"
import { readJson } from "../body.ts"
import type { Call } from "../call.ts"
import { flagFilter, labelsMatch } from "../query.ts"
import type { Route } from "../route.ts"
import { networkView } from "../translate/things.ts"
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

export function networkRoutes({ networks, containers }: Pick<Engine, "networks" | "containers">): Route[] {
  function list(call: Call): void {
    const filters = call.query.filters(LIST_FILTERS)
    const dangling = flagFilter(filters, "dangling")
    const found = networks.list().filter((network) => {
      if (dangling === true) return false
      const kind = PREDEFINED.has(network.name) ? "builtin" : "custom"
      if (filters.get("driver")?.every((driver) => driver !== network.driver)) return false
      if (filters.get("id")?.every((id) => !network.id.startsWith(id))) return false
      if (filters.get("name")?.every((part) => !network.name.includes(part))) return false
      if (filters.get("scope")?.every((scope) => scope !== "local")) return false
      if (filters.get("type")?.every((type) => type !== kind)) return false
      return labelsMatch(network.labels, filters.get("label"))
    })
    call.json(found.map((network) => networkView(network, [])))
  }

  async function inspect(call: Call): Promise<void> {
    const scope = call.query.text("scope")
    const network = networks.get(call.param("id"))
    if (scope !== "" && scope !== "local") {
      throw failure("not-found", `network ${call.param("id")} not found`)
    }
    call.json(networkView(network, await containers.list({ all: false, filters: new Map() })))
  }

  async function create(call: Call): Promise<void> {
    const { Name } = await readJson(call.request, networkCreateSchema)
    if (Name === "") throw failure("invalid", "network name must not be empty")
    if (networks.find(Name) !== undefined) {
      throw failure("conflict", `network with name ${Name} already exists`)
    }
    throw notYet(`creating network ${Name}`)
  }

  function remove(call: Call): void {
    const { name } = networks.get(call.param("id"))
    if (PREDEFINED.has(name)) {
      throw failure("forbidden", `${name} is a pre-defined network and cannot be removed`)
    }
    throw notYet(`removing network ${name}`)
  }

  const refuse = (what: string) => (call: Call) => {
    throw notYet(`${what} network ${networks.get(call.param("id")).name}`)
  }

  const yes = { support: "yes" } as const
  return [
    { ...yes, method: "GET", path: "/networks", summary: "List networks", run: list },
    { ...yes, method: "GET", path: "/networks/:id", summary: "Inspect a network", run: inspect },
    {
      method: "POST",
      path: "/networks/create",
      summary: "Create a network",
      support: "refused",
      run: create,
    },
    { method: "DELETE", path: "/networks/:id", summary: "Remove a network", support: "partly", run: remove },
    {
      method: "POST",
      path: "/networks/:id/connect",
      summary: "Connect a container",
      support: "refused",
      run: refuse("connecting to"),
    },
    {
      method: "POST",
      path: "/networks/:id/disconnect",
      summary: "Disconnect a container",
      support: "refused",
      run: refuse("disconnecting from"),
    },
    {
      ...yes,
      method: "POST",
      path: "/networks/prune",
      summary: "Remove unused networks",
      run: (call) => {
        pruneCriteria(call.query)
        call.json({ NetworksDeleted: null })
      },
    },
  ]
}

const notYet = (what: string): Error =>
  failure("not-implemented", `${what}: this engine has the networks bridge, host and none; use one of these`)
