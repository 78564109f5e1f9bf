// Opens the sources: each kind of context and remote address to the file that knows it.
import type { Platform } from "../../oci/platform.ts"
import type { BuildRequest, ContextSource } from "../build.ts"
import { BuildFailure, placed } from "../failure.ts"
import type { StepRun } from "../operations/operations.ts"
import type { BuildRooms } from "../rooms.ts"
import { openGit } from "./git.ts"
import { openHttp } from "./http.ts"
import { imageTree, resolveImage } from "./image.ts"
import { layoutTree, resolveLayout } from "./layout.ts"
import {
  makePlace,
  openDirectory,
  openKeptContexts,
  openPlace,
  openSynced,
  openTar,
  recoverContexts,
} from "./local/local.ts"
import { openRemote } from "./remote-context.ts"
import type { OpenContext, Sources } from "./sources.ts"

const layoutPrefix = "oci-layout://"

/** "oci-layout://name@sha256:…", as the graph asks for a named context that is a layout. */
const layoutOf = (
  request: BuildRequest,
  reference: string,
): Extract<ContextSource, { type: "layout" }> | undefined => {
  if (!reference.startsWith(layoutPrefix)) return undefined
  const name = reference.slice(layoutPrefix.length).replace(/@sha256:[0-9a-f]{64}$/, "")
  const source = request.namedContexts.get(name)
  return source?.type === "layout" ? source : undefined
}

/** What has layers and no files of its own to read beforehand. */
const layered = (tree: OpenContext["tree"]): OpenContext => ({
  readFile: () => Promise.resolve(undefined),
  tree,
  materials: [],
  release: () => undefined,
})

/** A context without any file: what is copied from it is told as missing. */
const openEmpty = (rooms: BuildRooms, run: StepRun): OpenContext => {
  const { directory, remove } = makePlace(rooms, "tar")
  return openPlace(rooms, directory, run.signal, () => void remove().catch(() => undefined))
}

/** Whatever goes wrong while it is found out what an address has now, as BuildKit says it. */
const loadingKey = async <T>(work: Promise<T>): Promise<T> => {
  try {
    return await work
  } catch (error) {
    const known = placed(error, {})
    if (known.kind === "cancelled") throw error
    throw new BuildFailure(known.kind, `failed to load cache key: ${known.message}`, known.detail, {
      cause: error,
    })
  }
}

export const openSources = (rooms: BuildRooms): Sources => {
  const git = openGit(rooms)
  const http = openHttp(rooms)
  const shelves = [git.shelf, http.shelf]
  const kept = [...shelves, openKeptContexts(rooms)]

  const open = async (
    source: ContextSource,
    name: string,
    run: StepRun,
    platform: Platform,
  ): Promise<OpenContext> => {
    switch (source.type) {
      case "directory":
        return openDirectory(rooms, source.path, run.signal)
      case "tar":
        return openTar(rooms, source.bytes, run.signal)
      case "synced":
        return openSynced(rooms, source.sync, source.name, source.key, run)
      case "remote":
        return openRemote({ rooms, git, http }, source.url, run)
      case "image":
        return layered(async () => {
          const { request, report, signal } = run
          const resolved = await resolveImage(rooms, source.reference, platform, request, report, signal)
          const { digest } = resolved
          const node = {
            type: "image",
            reference: source.reference,
            resolved,
            platform,
            fresh: false,
          } as const
          return imageTree(rooms, { ...node, digest, definition: digest, name }, run)
        })
      case "layout":
        return layered(async () => {
          const resolved = await resolveLayout(rooms.images, source, platform, run.signal)
          return layoutTree(rooms.images, source, resolved, platform, run)
        })
      case "result": {
        const { chainId, layers } = source.image
        return layered(() => Promise.resolve({ kind: "layers", chainId, layers }))
      }
      case "empty":
        return openEmpty(rooms, run)
    }
  }

  return {
    open,
    async resolveImage(reference, platform, request, report, signal) {
      const layout = layoutOf(request, reference)
      if (layout !== undefined) return resolveLayout(rooms.images, layout, platform, signal)
      return resolveImage(rooms, reference, platform, request, report, signal)
    },
    async image(node, run) {
      const layout = layoutOf(run.request, node.reference)
      if (layout !== undefined) return layoutTree(rooms.images, layout, node.resolved, node.platform, run)
      return imageTree(rooms, node, run)
    },
    git: (node, run) => loadingKey(git.fetch(node, run)),
    http: (node, run) => loadingKey(http.fetch(node, run)),
    remoteKey: (node, run) => loadingKey(node.type === "git" ? git.key(node, run) : http.key(node, run)),
    kept: () => Promise.resolve(kept.flatMap((one) => one.list())),
    async removeKept(id) {
      for (const shelf of kept) {
        const bytes = await shelf.remove(id)
        if (bytes !== undefined) return bytes
      }
      return 0
    },
    async recover() {
      await recoverContexts(rooms)
      for (const shelf of shelves) await shelf.recover()
    },
  }
}
