// A remote address as a build's context: a Git repository, an archive, or a single file that is the Dockerfile.
import { createReadStream } from "node:fs"
import { open } from "node:fs/promises"
import { detectCompression } from "../../base/decompress.ts"
import { failure } from "../../base/errors.ts"
import type { StepRun } from "../operations/operations.ts"
import type { BuildRooms } from "../rooms.ts"
import { gitAddress, isHttpAddress } from "./address.ts"
import type { GitSource } from "./git.ts"
import { type Fetched, type HttpSource, withoutSecrets } from "./http.ts"
import { openPlace, openTar } from "./local/local.ts"
import type { OpenContext } from "./sources.ts"

/** Name under which a fetched context lies, as BuildKit has it. */
const contextName = "context"
const largestDockerfile = 16 << 20

const headOf = async ({ path }: Fetched): Promise<Uint8Array> => {
  const file = await open(path, "r")
  try {
    const buffer = Buffer.alloc(512)
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

/** A tar's first header sums up itself. */
const isTar = (head: Uint8Array): boolean => {
  if (head.length < 512) return false
  const field = Buffer.from(head.subarray(148, 156))
    .toString("latin1")
    .replace(/[\0 ]+$/, "")
    .trim()
  if (!/^[0-7]+$/.test(field)) return false
  const sum = head.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0)
  return sum === Number.parseInt(field, 8)
}

const wholeFile = async ({ path }: Fetched): Promise<Uint8Array> => {
  const file = await open(path, "r")
  try {
    const { size } = await file.stat()
    if (size > largestDockerfile)
      throw failure("invalid", `the Dockerfile has ${size} bytes; at most ${largestDockerfile} are read`)
    return await file.readFile()
  } finally {
    await file.close()
  }
}

const openHttpContext = async (
  rooms: BuildRooms,
  http: HttpSource,
  url: string,
  run: StepRun,
): Promise<OpenContext> => {
  const fetched = await http.get({ url, filename: contextName, checksum: "" }, run)
  const materials = [{ uri: withoutSecrets(url), digest: fetched.digest }]
  const head = await headOf(fetched)
  if (detectCompression(head) !== "none" || isTar(head))
    try {
      return { ...(await openTar(rooms, createReadStream(fetched.path), run.signal)), materials }
    } finally {
      fetched.release()
    }
  const place = openPlace(rooms, fetched.place.directory, run.signal, fetched.release)
  return {
    ...place,
    materials,
    // Whatever name the Dockerfile is asked for by, it is this file; nothing is beside it.
    readFile: (path) => (path.endsWith(".dockerignore") ? Promise.resolve(undefined) : wholeFile(fetched)),
  }
}

/** Throws invalid for what is no address. */
export const openRemote = async (
  sources: { readonly rooms: BuildRooms; readonly git: GitSource; readonly http: HttpSource },
  url: string,
  run: StepRun,
): Promise<OpenContext> => {
  const { rooms, git, http } = sources
  const address = gitAddress(url)
  if (address !== undefined) {
    const keep = run.request.buildArgs.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR") ?? ""
    const repository = { ...address, keepGitDirectory: /^(?:1|t|true)$/i.test(keep), checksum: "" }
    const { directory, material, release } = await git.checkout(repository, run)
    return { ...openPlace(rooms, directory, run.signal, release), materials: [material] }
  }
  if (isHttpAddress(url)) return openHttpContext(rooms, http, url, run)
  throw failure(
    "invalid",
    `invalid build context ${JSON.stringify(url)}: it is neither a Git nor an HTTP address`,
  )
}
