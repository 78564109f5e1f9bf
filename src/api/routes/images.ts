// Images: list, inspect, tag, remove, prune, and their archives in and out.
import { failure } from "../../base/errors.ts"
import type { Engine } from "../../engine/engine.ts"
import type { Image, ImageProgress } from "../../images/images.ts"
import type { ImageDeleteEntry } from "../../wire/wire.ts"
import type { Call } from "../call.ts"
import { globToRegExp } from "../glob.ts"
import { type Filters, flagFilter, labelsMatch } from "../query.ts"
import type { Route } from "../route.ts"
import { receiveBytes, sendBytes } from "../stream/bytes.ts"
import { downloadFrom, downloadUrl } from "../stream/download.ts"
import { progressStream } from "../stream/lines.ts"
import { imageHistory, imageInspect, imageSummary } from "../translate/images.ts"
import { driverName } from "../translate/inspect.ts"
import { progressLine, targetReference } from "../translate/registry.ts"
import { parseTimestamp } from "../translate/times.ts"
import { pruneCriteria } from "./prune.ts"
import { pullImage } from "./registries.ts"

const LIST_FILTERS: ReadonlySet<string> = new Set([
  "dangling",
  "label",
  "before",
  "since",
  "reference",
  "until",
])

/** Docker's numbers for what happened to a path. */
const CHANGE_KINDS = { changed: 0, added: 1, deleted: 2 } as const

type Used = Pick<Engine, "images" | "containers" | "removeImage" | "pruneImages" | "describe">

export function imageRoutes(engine: Used): Route[] {
  const { images } = engine

  async function list(call: Call): Promise<void> {
    const filters = call.query.filters(LIST_FILTERS)
    const keep = await imageFilter(engine, filters)
    const named = narrowNames(filters.get("reference"))
    const found = (await images.list()).filter(keep).sort((a, b) => b.created - a.created)
    call.json(found.flatMap(named).map((image) => imageSummary(image, call.minor, -1)))
  }

  async function inspect(call: Call): Promise<void> {
    const image = await images.get(call.param("name"))
    call.json(imageInspect(image, driverName(engine.describe()), call.minor))
  }

  async function history(call: Call): Promise<void> {
    call.json(imageHistory(await images.get(call.param("name"))))
  }

  async function tag(call: Call): Promise<void> {
    const target = targetReference(call.query.text("repo"), call.query.text("tag"))
    if (target === undefined) throw failure("invalid", "bad parameter: repo cannot be empty")
    await images.tag(call.param("name"), target)
    call.empty(201)
  }

  async function remove(call: Call): Promise<void> {
    if (call.query.find("platforms") !== undefined) {
      throw failure(
        "not-implemented",
        "removing one platform of an image is not supported: an image here has one, so leave --platform out",
      )
    }
    const removed = await engine.removeImage(call.param("name"), {
      force: call.query.flag("force"),
      prune: !call.query.flag("noprune"),
    })
    call.json(removed.map(deleteEntry))
  }

  async function prune(call: Call): Promise<void> {
    const filters = call.query.filters(new Set(["until", "label", "label!", "dangling"]))
    const { removed, reclaimed } = await engine.pruneImages({
      ...pruneCriteria(call.query, ["dangling"]),
      all: flagFilter(filters, "dangling") === false,
    })
    call.json({
      ImagesDeleted: removed.length > 0 ? removed.map(deleteEntry) : null,
      SpaceReclaimed: reclaimed,
    })
  }

  async function save(call: Call, names: readonly string[]): Promise<void> {
    if (names.length === 0) throw failure("invalid", "bad parameter: names cannot be empty")
    await Promise.all(names.map((name) => images.get(name)))
    await sendBytes(call, images.save(names, call.gone), { "Content-Type": "application/x-tar" })
  }

  function load(call: Call): Promise<void> {
    const quiet = call.query.flag("quiet", true)
    const signal = call.gone
    return progressStream(call, async (lines) => {
      const report = (progress: ImageProgress) => {
        if (!quiet) lines.write(progressLine(progress))
      }
      const loaded = await images.load(receiveBytes(call.request), report, signal)
      for (const name of loaded) {
        lines.write({ stream: `Loaded image${name.startsWith("sha256:") ? " ID" : ""}: ${name}\n` })
      }
    })
  }

  async function squash(call: Call): Promise<void> {
    const reference = targetReference(call.query.text("repo"), call.query.text("tag"))
    const options = reference === undefined ? {} : { reference }
    call.json({ Id: await images.squash(call.param("name"), options, call.gone) }, 201)
  }

  async function changes(call: Call): Promise<void> {
    const to = call.query.text("to")
    if (to === "") throw failure("invalid", "bad parameter: to must name the other image")
    const found = await images.compare(call.param("name"), to)
    call.json(found.map(({ kind, path }) => ({ Kind: CHANGE_KINDS[kind], Path: path })))
  }

  function createImage(call: Call): Promise<void> | void {
    const { query } = call
    const source = query.text("fromSrc")
    if (query.text("fromImage") !== "") return pullImage(images, call)
    if (source === "") throw failure("invalid", "bad parameter: one of fromImage and fromSrc must be given")
    const url = source === "-" ? undefined : downloadUrl(source)
    const signal = call.gone
    return progressStream(call, async (lines) => {
      if (url !== undefined) lines.write({ status: `Downloading from ${source}` })
      const id = await images.import(
        url === undefined ? receiveBytes(call.request) : downloadFrom(url, signal),
        {
          reference: targetReference(query.text("repo"), query.text("tag")),
          message: query.optional("message"),
          changes: query
            .all("changes")
            .flatMap((text) => text.split("\n"))
            .filter((line) => line.trim() !== ""),
          platform: query.optional("platform"),
        },
        signal,
      )
      lines.write({ status: id })
    })
  }

  const yes = { support: "yes" } as const
  return [
    { ...yes, method: "GET", path: "/images/json", summary: "List images", run: list },
    { ...yes, method: "GET", path: "/images/:name+/json", summary: "Inspect an image", run: inspect },
    { ...yes, method: "GET", path: "/images/:name+/history", summary: "Show how it was made", run: history },
    {
      ...yes,
      method: "GET",
      path: "/images/:name+/get",
      summary: "Save an image as a tar",
      run: (call) => save(call, [call.param("name")]),
    },
    {
      ...yes,
      method: "GET",
      path: "/images/get",
      summary: "Save images as one tar",
      run: (call) =>
        save(
          call,
          call.query.all("names").flatMap((names) => names.split(",")),
        ),
    },
    { ...yes, method: "POST", path: "/images/load", summary: "Load images from a tar", run: load },
    {
      method: "POST",
      path: "/images/create",
      summary: "Pull an image, or import a root file system from the body or a URL",
      support: "yes",
      run: createImage,
    },
    { ...yes, method: "POST", path: "/images/:name+/tag", summary: "Name an image", run: tag },
    {
      ...yes,
      method: "GET",
      path: "/images/:name+/changes",
      summary: "How another image's files differ (Sloop's own)",
      run: changes,
    },
    {
      ...yes,
      method: "POST",
      path: "/images/:name+/squash",
      summary: "Make an image of one layer (Sloop's own)",
      run: squash,
    },
    { ...yes, method: "DELETE", path: "/images/:name+", summary: "Remove a name or an image", run: remove },
    { ...yes, method: "POST", path: "/images/prune", summary: "Remove unused images", run: prune },
  ]
}

const deleteEntry = ({ untagged, deleted }: { untagged?: string; deleted?: string }): ImageDeleteEntry =>
  untagged === undefined ? { Deleted: deleted } : { Untagged: untagged }

async function imageFilter(engine: Used, filters: Filters): Promise<(image: Image) => boolean> {
  const dangling = flagFilter(filters, "dangling")
  const [before] = filters.get("before") ?? []
  const [since] = filters.get("since") ?? []
  const [until] = filters.get("until") ?? []
  const earlier = before === undefined ? undefined : (await engine.images.get(before)).created
  const later = since === undefined ? undefined : (await engine.images.get(since)).created
  const untilTime = until === undefined ? undefined : parseTimestamp(until)
  if (until !== undefined && untilTime === undefined) {
    throw failure("invalid", `invalid filter 'until=${until}': write a time or a duration such as 24h`)
  }
  return (image) => {
    if (dangling !== undefined && (image.tags.length === 0) !== dangling) return false
    if (earlier !== undefined && image.created >= earlier) return false
    if (later !== undefined && image.created <= later) return false
    if (untilTime !== undefined && BigInt(Math.floor(image.created)) * 1_000_000n >= untilTime) return false
    return labelsMatch(image.config.labels, filters.get("label"))
  }
}

/** An image with those of its names that --filter reference asks for; nothing when it has none of them. */
function narrowNames(patterns: readonly string[] | undefined): (image: Image) => Image[] {
  if (patterns === undefined) return (image) => [image]
  const matchers = patterns.map(referencePattern)
  const wanted = (name: string) => matchers.some((matches) => matches(name))
  return (image) => {
    const [tags, digests] = [image.tags.filter(wanted), image.digests.filter(wanted)]
    return tags.length + digests.length > 0 ? [{ ...image, tags, digests }] : []
  }
}

/** A pattern of --filter reference: globs over "name", "name:tag" or "name@digest". */
function referencePattern(pattern: string): (tag: string) => boolean {
  const glob = globToRegExp(pattern)
  return (tag) => {
    const at = tag.indexOf("@")
    const end = at > 0 ? at : tag.lastIndexOf(":")
    return (
      glob.test(tag) || (end > tag.lastIndexOf("/", at > 0 ? at : undefined) && glob.test(tag.slice(0, end)))
    )
  }
}
