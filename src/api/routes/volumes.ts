// Volumes: every verb of the local driver.
import { failure } from "../../base/errors.ts"
import type { Engine } from "../../engine/engine.ts"
import type { VolumeRecord } from "../../state/state.ts"
import { volumeCreateSchema } from "../../wire/wire.ts"
import { readJson } from "../body.ts"
import type { Call } from "../call.ts"
import { flagFilter, labelsMatch } from "../query.ts"
import type { Route } from "../route.ts"
import { volumeView } from "../translate/things.ts"
import { pruneCriteria } from "./prune.ts"

const LIST_FILTERS: ReadonlySet<string> = new Set(["dangling", "driver", "label", "name"])

type Used = Pick<Engine, "volumes" | "removeVolume" | "pruneVolumes" | "volumeUsers">

export function volumeRoutes(engine: Used): Route[] {
  const { volumes } = engine
  const view = (volume: VolumeRecord) => volumeView(volume, volumes.path(volume.name))

  function list(call: Call): void {
    const filters = call.query.filters(LIST_FILTERS)
    const dangling = flagFilter(filters, "dangling")
    const found = volumes.list().filter((volume) => {
      if (dangling !== undefined && (engine.volumeUsers(volume.name).length === 0) !== dangling) return false
      if (filters.get("driver")?.every((driver) => driver !== volume.driver)) return false
      if (filters.get("name")?.every((part) => !volume.name.includes(part))) return false
      return labelsMatch(volume.labels, filters.get("label"))
    })
    call.json({ Volumes: found.map(view), Warnings: null })
  }

  async function create(call: Call): Promise<void> {
    const request = await readJson(call.request, volumeCreateSchema)
    const volume = await volumes.create({
      name: request.Name || undefined,
      driver: request.Driver || undefined,
      options: request.DriverOpts,
      labels: request.Labels ?? {},
    })
    // Docker gives back what it was given, where that is nothing too.
    call.json(
      { ...view(volume), ...(request.Labels === undefined ? {} : { Labels: { ...volume.labels } }) },
      201,
    )
  }

  async function remove(call: Call): Promise<void> {
    await engine.removeVolume(call.param("name"), { force: call.query.flag("force") })
    call.empty()
  }

  async function prune(call: Call): Promise<void> {
    const criteria = pruneCriteria(call.query, ["all"])
    if (criteria.until !== undefined) {
      throw failure("invalid", `The "until" filter is not supported for volumes`)
    }
    const all = flagFilter(call.query.filters(new Set(["all", "label", "label!"])), "all")
    const { removed, reclaimed } = await engine.pruneVolumes({
      // Before 1.42 named volumes went too.
      all: all ?? call.minor < 42,
      labels: criteria.labels,
    })
    call.json({ VolumesDeleted: removed.length > 0 ? removed : null, SpaceReclaimed: reclaimed })
  }

  const yes = { support: "yes" } as const
  return [
    { ...yes, method: "GET", path: "/volumes", summary: "List volumes", run: list },
    {
      ...yes,
      method: "GET",
      path: "/volumes/:name",
      summary: "Inspect a volume",
      run: (call) => call.json(view(volumes.get(call.param("name")))),
    },
    { ...yes, method: "POST", path: "/volumes/create", summary: "Create a volume", run: create },
    { ...yes, method: "DELETE", path: "/volumes/:name", summary: "Remove a volume", run: remove },
    { ...yes, method: "POST", path: "/volumes/prune", summary: "Remove unused volumes", run: prune },
    {
      method: "PUT",
      path: "/volumes/:name",
      summary: "Update a cluster volume",
      support: "refused",
      run: () => {
        throw failure("unavailable", "volume update only valid for cluster volumes, but swarm is unavailable")
      },
    },
  ]
}
