// sloop cp: a tar stream in either direction, packed and unpacked by the host's tar.
import { spawn } from "node:child_process"
import { existsSync, lstatSync, realpathSync, statSync } from "node:fs"
import { basename, dirname, resolve } from "node:path"
import { Readable } from "node:stream"
import { failure } from "../../../base/errors.ts"
import type { Context, Verb } from "../../verb.ts"

interface Place {
  container?: string
  path: string
}

interface Stat {
  name: string
  size: number
  mode: number
  linkTarget: string
}

const goDirectory = 2 ** 31 // os.ModeDir in the API's mode

/** CONTAINER:PATH, unless it begins like a local path. */
function readPlace(text: string): Place {
  const colon = text.indexOf(":")
  if (colon <= 0 || /^[./]/.test(text)) return { path: text }
  return { container: text.slice(0, colon), path: text.slice(colon + 1) }
}

async function statInside(context: Context, container: string, path: string): Promise<Stat | undefined> {
  try {
    const { headers, cancel } = await context.client.send(
      "HEAD",
      `/containers/${encodeURIComponent(container)}/archive`,
      { query: { path } },
    )
    cancel()
    return JSON.parse(
      Buffer.from(String(headers["x-docker-container-path-stat"]), "base64").toString(),
    ) as Stat
  } catch (error) {
    if (error instanceof Error && "kind" in error && error.kind === "not-found") return undefined
    throw error
  }
}

/** Runs tar with the given words; resolves with its output stream and its end. */
function tar(
  words: readonly string[],
  input?: AsyncIterable<Uint8Array>,
): { output: Readable; ended: Promise<void> } {
  const child = spawn("tar", words, { stdio: [input ? "pipe" : "ignore", "pipe", "pipe"] })
  let problem = ""
  child.stderr?.on("data", (chunk: Buffer) => {
    problem += chunk
  })
  if (input && child.stdin) Readable.from(input).pipe(child.stdin)
  const ended = new Promise<void>((done, reject) => {
    child.once("error", (error) =>
      reject(
        failure("internal", `tar could not be started: ${error.message}; install it to use cp`, {
          cause: error,
        }),
      ),
    )
    child.once("close", (code) =>
      code === 0 ? done() : reject(failure("internal", `tar failed: ${problem.trim()}`)),
    )
  })
  return { output: child.stdout as Readable, ended }
}

async function copyOut(context: Context, from: Place, to: string, follow: boolean): Promise<void> {
  const query = { path: from.path }
  const stat = await statInside(context, from.container ?? "", from.path)
  const source = follow && stat?.linkTarget ? { path: stat.linkTarget } : query
  const { body } = await context.client.send(
    "GET",
    `/containers/${encodeURIComponent(from.container ?? "")}/archive`,
    { query: source },
  )
  if (to === "-") {
    for await (const chunk of body) await context.out.write(chunk)
    return
  }
  const target = resolve(to)
  const name = stat?.name ?? basename(from.path)
  const contents = /(^|\/)\.$/.test(from.path)
  const isDirectory = existsSync(target) && statSync(target).isDirectory()
  if (!isDirectory && (/\/$/.test(to) || !existsSync(dirname(target))))
    throw failure("not-found", `lstat ${isDirectory ? target : dirname(target)}: no such file or directory`)
  const into = isDirectory ? target : dirname(target)
  const rename =
    contents || isDirectory
      ? []
      : ["--transform", `s,^${escapePattern(name)},${escapePattern(basename(target))},`]
  const strip = contents ? ["--strip-components=1"] : []
  await tar(["-x", "-C", into, "--no-same-owner", ...rename, ...strip, "-f", "-"], body).ended
}

const escapePattern = (text: string): string => text.replace(/[\\,&^$.*[\]]/g, "\\$&")

async function copyIn(
  context: Context,
  from: string,
  to: Place,
  options: { archive: boolean; follow: boolean },
): Promise<void> {
  const container = to.container ?? ""
  const put = (path: string, stream: AsyncIterable<Uint8Array>) =>
    context.client.call("PUT", `/containers/${encodeURIComponent(container)}/archive`, {
      query: { path, noOverwriteDirNonDir: true, copyUIDGID: options.archive },
      stream,
      contentType: "application/x-tar",
    })
  if (from === "-") return void (await put(to.path, context.stdin))
  if (!existsSync(from)) throw failure("not-found", `lstat ${resolve(from)}: no such file or directory`)
  const source = options.follow && lstatSync(from).isSymbolicLink() ? realpathSync(from) : resolve(from)
  const stat = await statInside(context, container, to.path)
  const contents = /(^|\/)\.$/.test(from)
  const intoDirectory = stat !== undefined && stat.mode >= goDirectory
  const fromDirectory = statSync(source).isDirectory()
  if (!stat && !fromDirectory && /\/$/.test(to.path))
    throw failure("not-found", `no such directory: ${to.path}`)
  if (stat && !intoDirectory && fromDirectory) throw failure("invalid", "cannot copy directory")
  const target = intoDirectory ? to.path : dirname(to.path)
  const name = contents ? "." : intoDirectory ? basename(source) : basename(to.path)
  const inside = contents && !intoDirectory ? basename(to.path) : name
  const owner = options.archive ? ["--numeric-owner"] : ["--owner=0", "--group=0", "--numeric-owner"]
  const base = contents ? source : dirname(source)
  const first = contents ? "." : basename(source)
  const words = [
    "-c",
    "-C",
    base,
    ...owner,
    "--transform",
    `flags=r;s,^${escapePattern(first)},${escapePattern(inside)},`,
    "-f",
    "-",
    "--",
    first,
  ]
  const { output, ended } = tar(words)
  await Promise.all([put(target, output), ended])
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
    if (from?.container && to?.container)
      throw failure("invalid", "copying between containers is not supported")
    if (from?.container && to) await copyOut(context, from, to.path, parsed.bool("follow-link"))
    else if (from && to?.container)
      await copyIn(context, from.path, to, {
        archive: parsed.bool("archive"),
        follow: parsed.bool("follow-link"),
      })
    else throw failure("invalid", "must specify at least one container source")
    return 0
  },
}
