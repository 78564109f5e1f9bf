// Layers on their way in: each blob comes once however many pulls want it, so many at a time, and is read while it comes.
import { Failure, failure } from "../../base/errors.ts"
import { Limiter } from "../../base/limiter.ts"
import type { ContentStore, Incoming } from "../../content/content.ts"
import type { Descriptor } from "../../oci/descriptor.ts"
import type { RemoteRepository } from "../../registry-client/registry-client.ts"

export type DownloadState =
  | { readonly kind: "waiting" }
  | { readonly kind: "downloading"; readonly current: number }
  | { readonly kind: "verifying" }
  | { readonly kind: "complete" }

export interface Download {
  /** Settles when the blob is in the content store, or with what kept it from there. */
  readonly done: Promise<void>
  /** The bytes as they come; see Incoming.follow. */
  follow(options?: { reuse?: boolean }): AsyncIterable<Uint8Array>
  /** To be called once by who asked for it; the last one stops an unfinished download. */
  release(): void
}

export interface Downloads {
  /**
   * Joins the download of a blob, or begins one. `tell` hears of it from now on. `passing`: the blob is not kept, and can be
   * read until the last one who asked for it releases it.
   */
  get(
    blob: Descriptor,
    remote: RemoteRepository,
    options: { passing: boolean; tell: (state: DownloadState) => void },
  ): Download
}

interface Shared {
  readonly listeners: Set<(state: DownloadState) => void>
  readonly incoming: Promise<Incoming>
  readonly done: Promise<void>
  readonly controller: AbortController
  readonly passing: boolean
  state: DownloadState
  users: number
}

/** At most so many blobs come at once. */
export const openDownloads = (content: ContentStore, most: number): Downloads => {
  const limiter = new Limiter(most)
  const running = new Map<string, Shared>()

  const begin = (blob: Descriptor, remote: RemoteRepository, passing: boolean): Shared => {
    const controller = new AbortController()
    const { signal } = controller
    const { promise: incoming, resolve, reject } = Promise.withResolvers<Incoming>()
    incoming.catch(() => {})
    const tell = (state: DownloadState) => {
      shared.state = state
      for (const listener of shared.listeners) listener(state)
    }
    const explained = (error: unknown): unknown => {
      if (!(error instanceof Failure) || error.message.startsWith("cannot ")) return error
      const sentence = `cannot fetch the layer ${blob.digest} of ${remote.name}`
      return failure(error.kind, `${sentence}: ${error.message}`, { cause: error })
    }
    const download = async (): Promise<void> => {
      signal.throwIfAborted()
      const target = await content.receive(blob, { passing })
      resolve(target)
      try {
        tell({ kind: "downloading", current: 0 })
        for await (const chunk of remote.blob(blob, 0, signal)) {
          await target.write(chunk)
          tell({ kind: "downloading", current: target.received })
        }
        signal.throwIfAborted()
        tell({ kind: "verifying" })
        await target.finish()
        tell({ kind: "complete" })
      } catch (error) {
        await target.abandon(explained(error))
        throw explained(error)
      }
    }
    const forget = () => {
      if (running.get(blob.digest) === shared) running.delete(blob.digest)
    }
    const done = limiter.run(download)
    // What is passing is there for others who want it, as long as somebody holds it.
    done.then(passing ? () => {} : forget, (error: unknown) => {
      forget()
      reject(error)
    })
    const shared: Shared = {
      listeners: new Set(),
      incoming,
      done,
      controller,
      state: { kind: "waiting" },
      users: 0,
      passing,
    }
    running.set(blob.digest, shared)
    return shared
  }

  return {
    get(blob, remote, { passing, tell }) {
      const shared = running.get(blob.digest) ?? begin(blob, remote, passing)
      shared.users++
      shared.listeners.add(tell)
      tell(shared.state)
      let released = false
      return {
        done: shared.done,
        async *follow(options) {
          yield* (await shared.incoming).follow(options)
        },
        release() {
          if (released) return
          released = true
          shared.listeners.delete(tell)
          if (--shared.users > 0) return
          // Nobody may join what is being stopped.
          if (running.get(blob.digest) === shared) running.delete(blob.digest)
          shared.controller.abort(failure("cancelled", "the download was stopped"))
          if (shared.passing) shared.incoming.then((incoming) => incoming.abandon()).catch(() => {})
        },
      }
    },
  }
}
