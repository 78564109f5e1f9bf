// --watch: waits until a file of the context changes that the build could see.
import { readFileSync, type WatchEventType, watch } from "node:fs"
import { ignoreMatcher, readIgnore } from "../../build/build.ts"
import { ignoreFileOf } from "./pack.ts"

const CALM = 150 // milliseconds without a change before a build begins

export interface Watch {
  /** Resolves with the paths that changed once it is calm again; with none when the signal ends it. */
  changed(): Promise<readonly string[]>
  close(): void
}

/** Watches a directory and all beneath it. Paths that the ignore file leaves out do not count; the Dockerfile always does. */
export function watchContext(directory: string, dockerfile: string, signal: AbortSignal): Watch {
  const seen = new Set<string>()
  let wake: (() => void) | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  const always = new Set([dockerfile, ".dockerignore", `${dockerfile}.dockerignore`])
  const ignored = (path: string): boolean => {
    if (always.has(path)) return false
    const file = ignoreFileOf(directory, dockerfile)
    const matcher = ignoreMatcher(file === undefined ? [] : readIgnore(readFileSync(file)))
    return matcher.ignores(path, false)
  }
  const take = (_: WatchEventType, name: string | null) => {
    const path = name ?? ""
    if (path !== "" && ignored(path)) return
    seen.add(path)
    clearTimeout(timer)
    timer = setTimeout(() => wake?.(), CALM)
  }
  const watcher = watch(directory, { recursive: true }, take)
  const end = () => {
    clearTimeout(timer)
    watcher.close()
    wake?.()
  }
  signal.addEventListener("abort", end)
  return {
    async changed() {
      if (!signal.aborted)
        await new Promise<void>((resolve) => {
          wake = resolve
          if (seen.size > 0) timer = setTimeout(resolve, CALM)
        })
      wake = undefined
      const paths = [...seen].sort()
      seen.clear()
      return signal.aborted ? [] : paths
    },
    close: end,
  }
}
