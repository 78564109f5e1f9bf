// Ground for tests of sources: images over a real launcher, and runs of steps that note what they told.
import { join } from "node:path"
import { type ImageStore, openImageStore } from "../../../../test/fixtures/image-store.ts"
import type { Registries } from "../../../registry-client/registry-client.ts"
import type { BuildRequest } from "../../build.ts"
import { buildRequest } from "../../graph/testing/graph-request.ts"
import type { StepRun } from "../../operations/operations.ts"
import type { BuildEvent } from "../../progress.ts"
import type { BuildRooms } from "../../rooms.ts"
import type { ContextTree, Tree } from "../../solver/solver.ts"

export interface SourceGround {
  readonly rooms: BuildRooms
  readonly store: ImageStore
  readonly told: BuildEvent[]
  /** A run of a new build, or of the one whose request is given. */
  run(request?: Partial<BuildRequest>, signal?: AbortSignal): StepRun
  close(): Promise<void>
}

export const openSourceGround = async (registries?: Registries): Promise<SourceGround> => {
  const store = await openImageStore(registries === undefined ? {} : { registries })
  const told: BuildEvent[] = []
  const { kernel, state, content, snapshots, images, directory } = store
  const unused = (room: string) => {
    throw new Error(`sources do not enter ${room}`)
  }
  const rooms: BuildRooms = {
    kernel,
    state,
    content,
    snapshots,
    images,
    get runtime() {
      return unused("runtime")
    },
    get networks() {
      return unused("networks")
    },
    root: join(directory, "build"),
    runRoot: join(directory, "b"),
  }
  return {
    rooms,
    store,
    told,
    run: (request = {}, signal = new AbortController().signal) => ({
      id: "build-000000000000000000000000",
      request: { ...buildRequest(), ...request },
      report: (event) => told.push(event),
      signal,
      vertex: "sha256:vertex",
      hold: { keep: () => undefined, suspect: () => undefined },
    }),
    close: () => store.close(),
  }
}

export const contextOf = (tree: Tree): ContextTree => {
  if (tree.kind !== "context") throw new Error("a tree of layers is no context")
  return tree.context
}

/** Paths of all regular files, sorted; with their modes in octal. */
export const filesOf = async (context: ContextTree): Promise<string[]> =>
  (await context.entries())
    .filter(({ mode, path }) => path !== "" && (mode & 0o170000) !== 0o040000)
    .map(({ path, mode }) => `${path} ${(mode & 0o7777).toString(8)}`)
    .toSorted()
