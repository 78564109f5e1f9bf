// Where a build's files come from: a directory, standard input, a URL, a repository, an image, a layout.
import { readFileSync, statSync } from "node:fs"
import { basename, dirname, isAbsolute, relative, resolve } from "node:path"
import { currentBoot } from "../../base/boot.ts"
import { failure } from "../../base/errors.ts"
import type { WireBuildInput } from "../../wire/wire.ts"
import { readStandardInput } from "../input.ts"

export type AskedContext = WireBuildInput["Context"]

/** What stands behind a context when the engine asks for its bytes. */
export type Provided =
  | { readonly type: "directory"; readonly path: string; readonly only?: readonly string[] }
  | { readonly type: "stream"; readonly bytes: AsyncIterable<Uint8Array> }
  | { readonly type: "layout"; readonly path: string }

export interface Source {
  readonly wire: AskedContext
  readonly provided?: Provided
}

/** The files and the Dockerfile of a build. */
export interface MainSources {
  readonly context: Source
  readonly dockerfile?: string
  readonly dockerfilePath?: string
  readonly dockerfileContext?: Source
  /** The directory that it builds from, for --watch. */
  readonly directory?: string
}

const missing = (path: string) =>
  failure("not-found", `unable to prepare context: path ${JSON.stringify(path)} not found`)

/** A directory as this side sees it. Throws not-found. */
function directorySource(path: string, only?: readonly string[]): Source {
  const absolute = resolve(path)
  const found = statSync(absolute, { bigint: true, throwIfNoEntry: false })
  if (found === undefined) throw missing(path)
  if (!found.isDirectory())
    throw failure("invalid", `unable to prepare context: path ${JSON.stringify(path)} is not a directory`)
  return {
    wire: {
      Type: "directory",
      Path: absolute,
      Device: String(found.dev),
      Inode: String(found.ino),
      Boot: currentBoot(),
    },
    provided: { type: "directory", path: absolute, ...(only === undefined ? {} : { only }) },
  }
}

const isRemote = (text: string): boolean =>
  /^(https?|git|ssh):\/\/./.test(text) || /^(git@|github\.com\/)/.test(text)

const remoteSource = (url: string): Source => ({ wire: { Type: "remote", Url: url } })

/** The argument of build and its --file. Throws in docker's words. */
export async function mainSources(argument: string, file: string | undefined): Promise<MainSources> {
  if (argument === "-") {
    if (file === "-")
      throw failure("invalid", "invalid argument: can't use stdin for both build context and dockerfile")
    return standardInput(file)
  }
  const dockerfile = file === "-" ? await textOf(readStandardInput()) : undefined
  if (isRemote(argument) && statSync(argument, { throwIfNoEntry: false }) === undefined) {
    const given = dockerfile ?? (file !== undefined && isRemote(file) ? await fetched(file) : undefined)
    return {
      context: remoteSource(argument),
      ...(given === undefined ? {} : { dockerfile: given }),
      ...(given !== undefined || file === undefined ? {} : { dockerfilePath: file }),
    }
  }
  const directory = resolve(argument)
  const context = directorySource(argument)
  if (dockerfile !== undefined) return { context, dockerfile, directory }
  if (file !== undefined && /^https?:\/\//.test(file))
    return { context, dockerfile: await fetched(file), directory }
  return { context, directory, ...dockerfilePlace(directory, file) }
}

/** Inside of the context by its path there, elsewhere as a context of its own with the Dockerfile's ignore file. */
function dockerfilePlace(directory: string, file: string | undefined): Partial<MainSources> {
  if (file === undefined) return lowerCase(directory)
  const absolute = resolve(file)
  const inside = relative(directory, absolute)
  if (inside !== "" && !inside.startsWith("..") && !isAbsolute(inside)) return { dockerfilePath: inside }
  const found = statSync(absolute, { throwIfNoEntry: false })
  if (found === undefined)
    throw failure(
      "not-found",
      `failed to read dockerfile: open ${basename(file)}: no such file or directory: --file is looked for from the working directory`,
    )
  if (!found.isFile()) return { dockerfile: readFileSync(absolute, "utf8") } // a pipe, as of <(…)
  const name = basename(absolute)
  return {
    dockerfilePath: name,
    dockerfileContext: directorySource(dirname(absolute), [name, `${name}.dockerignore`]),
  }
}

/** A Dockerfile in lower case counts where there is no other. */
function lowerCase(directory: string): Partial<MainSources> {
  const has = (name: string) => statSync(`${directory}/${name}`, { throwIfNoEntry: false }) !== undefined
  return !has("Dockerfile") && has("dockerfile") ? { dockerfilePath: "dockerfile" } : {}
}

/** A tar is the context, anything else the Dockerfile of a build without one. */
async function standardInput(file: string | undefined): Promise<MainSources> {
  const input = readStandardInput()
  const head = await firstBytes(input, 512)
  if (head.length === 0)
    throw failure("invalid", "failed to build: standard input is empty: give a tar or a Dockerfile")
  if (isArchive(head)) {
    const bytes = joined(head, input)
    return {
      context: { wire: { Type: "sent" }, provided: { type: "stream", bytes } },
      ...(file === undefined ? {} : { dockerfilePath: file }),
    }
  }
  if (file !== undefined)
    throw failure("invalid", "ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles")
  return { context: { wire: { Type: "empty" } }, dockerfile: await textOf(joined(head, input)) }
}

async function firstBytes(input: AsyncIterator<Uint8Array>, least: number): Promise<Buffer> {
  let head = Buffer.alloc(0)
  while (head.length < least) {
    const next = await input.next()
    if (next.done) break
    head = Buffer.concat([head, next.value])
  }
  return head
}

async function* joined(head: Uint8Array, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield head
  yield* rest
}

/** gzip, bzip2, xz, zstd, or a tar header with the checksum that it says. */
function isArchive(head: Buffer): boolean {
  const magics = ["1f8b", "425a68", "fd377a585a00", "28b52ffd"]
  const start = head.subarray(0, 6).toString("hex")
  if (magics.some((magic) => start.startsWith(magic))) return true
  if (head.length < 512) return false
  const told = Number.parseInt(head.toString("latin1", 148, 156).replace(/\0.*$/, "").trim(), 8)
  let sum = 0
  for (let at = 0; at < 512; at++) sum += at >= 148 && at < 156 ? 0x20 : (head[at] ?? 0)
  return told === sum && head[0] !== 0
}

async function textOf(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of bytes) chunks.push(chunk)
  return Buffer.concat(chunks).toString("utf8")
}

async function fetched(url: string): Promise<string> {
  const response = await fetch(url)
  if (!response.ok)
    throw failure(
      "unavailable",
      `failed to read dockerfile: ${url} answered ${response.status} ${response.statusText}`,
    )
  return response.text()
}

/** --build-context name=value. Throws invalid. */
export function namedSource(line: string): [name: string, source: Source] {
  const equals = line.indexOf("=")
  const name = line.slice(0, equals)
  const value = line.slice(equals + 1)
  if (equals <= 0 || value === "")
    throw failure("invalid", `invalid context value: ${line}, expected key=value`)
  if (value.startsWith("docker-image://"))
    return [name, { wire: { Type: "image", Reference: value.slice("docker-image://".length) } }]
  if (value.startsWith("oci-layout://")) return [name, layoutSource(value.slice("oci-layout://".length))]
  if (isRemote(value)) return [name, remoteSource(value)]
  return [name, directorySource(value)]
}

interface Index {
  readonly manifests?: readonly { digest: string; annotations?: Readonly<Record<string, string>> }[]
}

/** path[:tag][@digest] */
function layoutSource(text: string): Source {
  const [, path = "", tag, digest] = /^(.*?)(?::([^/@]+))?(?:@(sha256:[0-9a-f]{64}))?$/.exec(text) ?? []
  const directory = resolve(path)
  const provided = { type: "layout", path: directory } as const
  if (digest !== undefined) return { wire: { Type: "layout", Digest: digest }, provided }
  let index: Index
  try {
    index = JSON.parse(readFileSync(`${directory}/index.json`, "utf8")) as Index
  } catch (cause) {
    throw failure("invalid", `invalid OCI layout ${path}: its index.json cannot be read`, { cause })
  }
  const named = (index.manifests ?? []).filter(
    ({ annotations }) => annotations?.["org.opencontainers.image.ref.name"] === (tag ?? "latest"),
  )
  const chosen = named[0] ?? (tag === undefined ? index.manifests?.[0] : undefined)
  if (chosen === undefined)
    throw failure("not-found", `the OCI layout ${path} has no image ${tag ?? ""}`.trim())
  return { wire: { Type: "layout", Digest: chosen.digest }, provided }
}
