// Containers: create, list, inspect, and the verbs that answer once.
import { failure } from "../../base/errors.ts"
import { containerFilters, type Engine } from "../../engine/engine.ts"
import type { Image } from "../../images/images.ts"
import { formatPlatform, normalisePlatform, parsePlatform, platformScore } from "../../oci/platform.ts"
import type { ContainerRecord } from "../../state/state.ts"
import {
  type ContainerSummary,
  type CreateResponse,
  createRequestSchema,
  updateRequestSchema,
} from "../../wire/wire.ts"
import { readJson } from "../body.ts"
import type { Call } from "../call.ts"
import type { Query } from "../query.ts"
import type { Route } from "../route.ts"
import { createConfig } from "../translate/create.ts"
import { containerInspect } from "../translate/inspect.ts"
import { portMatches, portRequests, publishedPorts } from "../translate/ports.ts"
import { resources, restartPolicy } from "../translate/resources.ts"
import { containerSummary, containerSummaryText } from "../translate/summary.ts"
import { pruneCriteria } from "./prune.ts"

export function containerRoutes(engine: Pick<Engine, "containers" | "images" | "describe">): Route[] {
  const { containers, images } = engine

  async function create(call: Call): Promise<void> {
    const name = call.query.optional("name")
    const request = await readJson(call.request, createRequestSchema)
    if (request.Image === "") throw failure("invalid", "no image specified: name one in the Image field")
    const platform = call.query.optional("platform")
    if (platform !== undefined) requirePlatform(platform, request.Image, await images.find(request.Image))
    const { config, warnings } = createConfig(request, call.minor)
    const created = await containers.create({
      name: name === "/" ? name : name?.replace(/^\//, ""),
      config,
    })
    const answer: CreateResponse = { Id: created.id, Warnings: [...created.warnings, ...warnings] }
    call.json(answer, 201)
  }

  async function list(call: Call): Promise<void> {
    const { query } = call
    const filters = query.filters(containerFilters)
    const limit = query.whole("limit")
    const withSizes = query.flag("size")
    const records = await containers.list({
      all: query.flag("all") || filters.has("status"),
      limit: limit !== undefined && limit > 0 ? limit : undefined,
      filters,
    })
    const meanings = new Map<string, string | undefined>()
    for (const { config } of records) {
      if (!meanings.has(config.image)) meanings.set(config.image, (await images.find(config.image))?.id)
    }
    const now = Date.now()
    const imageOf = ({ config, imageId }: ContainerRecord) =>
      meanings.get(config.image) === imageId ? config.image : imageId
    if (!withSizes) {
      const texts = records.map((record) => containerSummaryText(record, imageOf(record), now))
      call.jsonText(`[${texts.join(",")}]`)
      return
    }
    const summaries: ContainerSummary[] = await Promise.all(
      records.map(async (record) =>
        containerSummary(record, { image: imageOf(record), sizes: await containers.sizes(record.id) }, now),
      ),
    )
    call.json(summaries)
  }

  async function inspect(call: Call): Promise<void> {
    const record = containers.get(call.param("id"))
    const sizes = call.query.flag("size") ? await containers.sizes(record.id) : undefined
    call.json(containerInspect(record, engine.describe(), call.minor, sizes))
  }

  async function rename(call: Call): Promise<void> {
    const name = call.query.text("name").replace(/^\//, "")
    if (name === "") throw failure("invalid", "Neither old nor new names may be empty")
    await containers.rename(call.param("id"), name)
    call.empty()
  }

  async function update(call: Call): Promise<void> {
    const request = await readJson(call.request, updateRequestSchema)
    const ports = request.PublishedPorts
    const change = ports && { add: portRequests(ports.Add), remove: portMatches(ports.Remove) }
    const warnings = await containers.update(call.param("id"), {
      resources: resources(request),
      restart: restartPolicy(request.RestartPolicy),
    })
    if (change === undefined) {
      call.json({ Warnings: warnings })
      return
    }
    const changed = await containers.changePorts(call.param("id"), change)
    call.json({ Warnings: warnings, PublishedPorts: publishedPorts(changed) })
  }

  async function top(call: Call): Promise<void> {
    const table = await containers.top(call.param("id"), call.query.optional("ps_args") ?? "-ef")
    call.json({ Processes: table.processes, Titles: table.titles })
  }

  async function changes(call: Call): Promise<void> {
    const found = await containers.changes(call.param("id"))
    call.json(found.length === 0 ? null : found.map(({ kind, path }) => ({ Kind: kind, Path: path })))
  }

  /** A verb that answers 204. */
  const act =
    (verb: (id: string, query: Query, minor: number) => Promise<void>) =>
    async (call: Call): Promise<void> => {
      await verb(call.param("id"), call.query, call.minor)
      call.empty()
    }

  const start = act((id, query) => {
    if (query.text("checkpoint") !== "") {
      throw failure("invalid", "checkpoint is not supported: start the container without one")
    }
    return containers.start(id, { detachKeys: query.find("detachKeys") })
  })
  const stop = act((id, query, minor) => containers.stop(id, stopOptions(query, minor)))
  const restart = act((id, query, minor) => containers.restart(id, stopOptions(query, minor)))
  const kill = act((id, query) => containers.kill(id, query.optional("signal")))
  const pause = act((id) => containers.pause(id))
  const unpause = act((id) => containers.unpause(id))
  async function resize(call: Call): Promise<void> {
    await containers.resize(call.param("id"), ...windowSize(call.query))
    call.empty(200)
  }
  const remove = act((id, query) =>
    containers.remove(id, {
      force: query.flag("force"),
      volumes: query.flag("v"),
      link: query.flag("link") || undefined,
    }),
  )

  async function prune(call: Call): Promise<void> {
    const { removed, reclaimed } = await containers.prune(pruneCriteria(call.query))
    call.json({ ContainersDeleted: removed.length > 0 ? removed : null, SpaceReclaimed: reclaimed })
  }

  const yes = { support: "yes" } as const
  return [
    { ...yes, method: "POST", path: "/containers/create", summary: "Create a container", run: create },
    {
      ...yes,
      method: "GET",
      path: "/containers/json",
      summary: "List containers",
      run: list,
    },
    { ...yes, method: "GET", path: "/containers/:id/json", summary: "Inspect a container", run: inspect },
    { ...yes, method: "POST", path: "/containers/:id/start", summary: "Start a container", run: start },
    { ...yes, method: "POST", path: "/containers/:id/stop", summary: "Stop a container", run: stop },
    { ...yes, method: "POST", path: "/containers/:id/restart", summary: "Restart a container", run: restart },
    { ...yes, method: "POST", path: "/containers/:id/kill", summary: "Signal a container", run: kill },
    { ...yes, method: "POST", path: "/containers/:id/pause", summary: "Freeze a container", run: pause },
    { ...yes, method: "POST", path: "/containers/:id/unpause", summary: "Thaw a container", run: unpause },
    { ...yes, method: "POST", path: "/containers/:id/rename", summary: "Rename a container", run: rename },
    { ...yes, method: "POST", path: "/containers/:id/resize", summary: "Resize its terminal", run: resize },
    {
      ...yes,
      method: "POST",
      path: "/containers/:id/update",
      summary: "Change limits and restart policy",
      run: update,
    },
    { ...yes, method: "GET", path: "/containers/:id/top", summary: "List its processes", run: top },
    { ...yes, method: "GET", path: "/containers/:id/changes", summary: "List changed paths", run: changes },
    { ...yes, method: "DELETE", path: "/containers/:id+", summary: "Remove a container", run: remove },
    { ...yes, method: "POST", path: "/containers/prune", summary: "Remove stopped containers", run: prune },
  ]
}

/** A signal of the client's own came with 1.42. */
function stopOptions(query: Query, minor: number): { timeout?: number; signal?: string } {
  return { timeout: query.whole("t"), signal: minor < 42 ? undefined : query.optional("signal") }
}

/** Rows and columns of ?h and ?w. Throws invalid. */
export function windowSize(query: Query): [rows: number, columns: number] {
  const sizes = ["h", "w"].map((name) => {
    const value = query.whole(name)
    if (value === undefined || value < 0 || value > 65535) {
      throw failure("invalid", `bad parameter: ${name} must be a number of characters from 0 to 65535`)
    }
    return value
  })
  return [sizes[0] ?? 0, sizes[1] ?? 0]
}

/** Throws not-found, which clients answer by a pull, when the local image is for another platform than was asked for. */
function requirePlatform(text: string, name: string, image: Image | undefined): void {
  const wanted = parsePlatform(text)
  if (image === undefined) return
  const offered = normalisePlatform(image)
  if (platformScore(wanted, offered) > 0) return
  throw failure(
    "not-found",
    `image with reference ${name} was found but its platform (${formatPlatform(offered)}) does not match the specified platform (${formatPlatform(wanted)})`,
  )
}
