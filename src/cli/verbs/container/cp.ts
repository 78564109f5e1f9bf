// sloop cp: a tar stream in either direction, packed and unpacked by the host's tar.
import { lstatSync, readlinkSync, realpathSync, type Stats, statSync } from "node:fs"
import { posix, resolve } from "node:path"
import { errorKind, errorMessage, failure } from "../../../base/errors.ts"
import {
  type Destination,
  meansDirectory,
  placeCopy,
  renameWords,
  type Source,
  splitPath,
} from "../../container/copy-plan.ts"
import { packTar, unpackTar } from "../../container/tar.ts"
import { humanSize } from "../../format/units.ts"
import { readStandardInput } from "../../input.ts"
import { counted } from "../../progress.ts"
import type { Context, Verb } from "../../verb.ts"

interface Place {
  container?: string
  path: string
}

interface Stat {
  name: string
  mode: number
  linkTarget: string
}

interface Choices {
  readonly archive: boolean
  readonly follow: boolean
  readonly quiet: boolean
}

const goDirectory = 2 ** 31 // os.ModeDir in the API's mode
const goSymlink = 2 ** 27

/** CONTAINER:PATH, unless it begins like a local path. */
function readPlace(text: string): Place {
  const colon = text.indexOf(":")
  if (colon <= 0 || /^[./]/.test(text)) return { path: text }
  return { container: text.slice(0, colon), path: text.slice(colon + 1) }
}

const archive = (container: string) => `/containers/${encodeURIComponent(container)}/archive`

const readStat = (header: string | undefined): Stat =>
  JSON.parse(Buffer.from(header ?? "", "base64").toString("utf8")) as Stat

async function statInside(context: Context, container: string, path: string): Promise<Stat> {
  const { headers, cancel } = await context.client.send("HEAD", archive(container), { query: { path } })
  cancel()
  return readStat(headers["x-docker-container-path-stat"])
}

const isDirectoryInside = ({ mode }: Stat) => Math.floor(mode / goDirectory) % 2 === 1
const isLinkInside = ({ mode }: Stat) => Math.floor(mode / goSymlink) % 2 === 1

/** The path that a link at `path` leads to, inside the container. */
const linkedPath = (path: string, { linkTarget }: Stat): string =>
  linkTarget.startsWith("/") ? linkTarget : posix.join(splitPath(path).directory, linkTarget)

/** Absolute, with a trailing "/" or "/." kept. */
const absolute = (path: string): string => {
  const tail = /\/\.$/.test(path) || path === "." ? "/." : path.endsWith("/") ? "/" : ""
  return resolve(path).replace(/\/$/, "") + tail || "/"
}

function statHere(path: string, look: (path: string) => Stats): Stats {
  try {
    return look(path)
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : ""
    if (code === "ENOENT")
      throw failure("not-found", `lstat ${path}: no such file or directory`, { cause: error })
    if (code === "ENOTDIR") throw failure("invalid", "not a directory", { cause: error })
    throw failure("invalid", errorMessage(error), { cause: error })
  }
}

const statOrNothing = (path: string): Stats | undefined => {
  try {
    return statSync(path)
  } catch {
    return undefined
  }
}

function destinationHere(to: string): Destination {
  const path = absolute(to)
  const { directory } = splitPath(path.replace(/\/\.?$/, "") || "/")
  if (!statOrNothing(directory)?.isDirectory())
    throw failure("not-found", `invalid output path: directory "${directory}" does not exist`)
  const plain = path.replace(/(.)\/\.?$/, "$1")
  const found = statOrNothing(plain)
  if (found && !found.isDirectory() && plain !== path)
    throw failure("invalid", `stat ${path}: not a directory`)
  return { path, exists: found !== undefined, isDirectory: found?.isDirectory() === true }
}

async function copyOut(context: Context, from: Place, to: string, choices: Choices): Promise<void> {
  const container = from.container ?? ""
  const destination = to === "-" ? undefined : destinationHere(to)
  let path = from.path
  if (choices.follow) {
    const stat = await statInside(context, container, path)
    if (isLinkInside(stat)) path = linkedPath(path, stat)
  }
  const { body, headers } = await context.client.send("GET", archive(container), { query: { path } })
  if (!destination) {
    for await (const chunk of body) await context.out.write(chunk)
    return
  }
  const { base } = splitPath(path)
  const isDirectory = isDirectoryInside(readStat(headers["x-docker-container-path-stat"]))
  const source: Source = { path, isDirectory, base, name: base === "." ? "." : splitPath(from.path).base }
  const { directory, name } = placeCopy(source, destination)
  const words = ["-C", directory, ...renameWords(base, name)]
  await told(context, body, to, choices, (chunks) => unpackTar(words, chunks))
}

/** Runs a copy and, on a terminal, tells how much was copied where. */
async function told(
  context: Context,
  chunks: AsyncIterable<Uint8Array>,
  where: string,
  choices: Choices,
  copy: (chunks: AsyncIterable<Uint8Array>) => Promise<unknown>,
): Promise<void> {
  let bytes = 0
  const count = async function* () {
    for await (const chunk of chunks) {
      bytes += chunk.length
      yield chunk
    }
  }
  await copy(counted(context.err, "Copying", count(), { quiet: choices.quiet }))
  if (context.err.isTTY && !choices.quiet)
    context.warn(`Successfully copied ${humanSize(bytes, 3)} to ${where}`)
}

function sourceHere(from: string, follow: boolean): Source {
  const path = absolute(from)
  if (meansDirectory(path)) {
    const found = statHere(path, statSync)
    const contents = path.endsWith("/.")
    const real = realpathSync(path)
    const { base } = splitPath(contents ? `${real}/.` : real)
    return {
      path: contents ? `${real}/.` : real,
      isDirectory: found.isDirectory(),
      base,
      name: contents ? "." : splitPath(path).base,
    }
  }
  statHere(path, lstatSync)
  let real = path
  if (follow) {
    try {
      real = realpathSync(path)
    } catch (error) {
      const target = lstatSync(path).isSymbolicLink() ? linkTargetHere(path) : path
      throw failure("not-found", `lstat ${target}: no such file or directory`, { cause: error })
    }
  }
  const { base } = splitPath(real)
  return { path: real, isDirectory: lstatSync(real).isDirectory(), base, name: splitPath(path).base }
}

const linkTargetHere = (path: string): string => resolve(splitPath(path).directory, readlinkSync(path))

async function destinationInside(context: Context, { container = "", path }: Place): Promise<Destination> {
  const look = (at: string) =>
    statInside(context, container, at).catch((error: unknown) => {
      // What is wrong with the container itself is told by the copy that follows.
      if (errorKind(error) === "not-found") return undefined
      throw error
    })
  let at = path
  let stat = await look(at)
  if (stat && isLinkInside(stat)) {
    at = linkedPath(path, stat)
    stat = await look(at)
  }
  return { path: at, exists: stat !== undefined, isDirectory: stat !== undefined && isDirectoryInside(stat) }
}

async function copyIn(context: Context, from: string, to: Place, choices: Choices): Promise<void> {
  const container = to.container ?? ""
  const where = `${container}:${to.path}`
  const source = from === "-" ? undefined : sourceHere(from, choices.follow)
  const destination = await destinationInside(context, to)
  const put = (path: string, stream: AsyncIterable<Uint8Array>) =>
    context.client.call("PUT", archive(container), {
      query: { path, noOverwriteDirNonDir: true, copyUIDGID: choices.archive },
      stream,
      contentType: "application/x-tar",
    })
  if (!source) {
    if (!destination.isDirectory) throw failure("invalid", `destination "${where}" must be a directory`)
    await put(destination.path, readStandardInput())
    return
  }
  const { directory, name } = placeCopy(source, destination)
  const owner = choices.archive ? [] : ["--owner=0", "--group=0"]
  const inside = splitPath(source.path)
  const { output, ended } = packTar([
    ...["-C", inside.directory, "--numeric-owner", ...owner, ...renameWords(inside.base, name)],
    ...["-f", "-", "--", inside.base],
  ])
  await told(context, output, where, choices, (chunks) => put(directory, chunks))
  await ended
}

export const verb: Verb = {
  usage: "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tsloop cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
  summary: "Copy files/folders between a container and the local filesystem",
  flags: [
    { name: "archive", short: "a", kind: "bool", summary: "Archive mode (copy all uid/gid information)" },
    { name: "follow-link", short: "L", kind: "bool", summary: "Always follow symbol link in SRC_PATH" },
    { name: "quiet", short: "q", kind: "bool", summary: "Suppress progress output during copy" },
  ],
  interspersed: true,
  least: 2,
  most: 2,
  async run(context, parsed) {
    const [from, to] = parsed.arguments.map(readPlace)
    const choices = {
      archive: parsed.bool("archive"),
      follow: parsed.bool("follow-link"),
      quiet: parsed.bool("quiet"),
    }
    if (from?.container && to?.container)
      throw failure("invalid", "copying between containers is not supported")
    if (from?.container && to) await copyOut(context, from, to.path, choices)
    else if (from && to?.container) await copyIn(context, from.path, to, choices)
    else throw failure("invalid", "must specify at least one container source")
    return 0
  },
}
