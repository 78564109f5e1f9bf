// What instructions of a stage need around them to become nodes: the request, the nodes made so far, findings, contexts.
import type { Platform } from "../../oci/platform.ts"
import type { BuildRequest, ContextSource } from "../build.ts"
import type { Place } from "../dockerfile/instructions.ts"
import type { Findings } from "../dockerfile/lint/findings.ts"
import { suggestion } from "../dockerfile/suggestion.ts"
import { type ExpandOptions, expandWord } from "../dockerfile/words.ts"
import type { GlobalArguments } from "./arguments.ts"
import type { ContextNode } from "./graph.ts"
import type { NeededPaths } from "./needed-paths.ts"
import type { Nodes } from "./node-digest.ts"
import type { StageState } from "./stage.ts"

export interface Surroundings {
  readonly request: BuildRequest
  readonly escape: string
  readonly nodes: Nodes
  readonly findings: Findings
  /** Whether .dockerignore leaves out a path of the main context. */
  readonly ignored: (path: string) => boolean
  readonly target: Platform
  /** Several platforms are built: names of steps tell theirs. */
  readonly several: boolean
  readonly globals: GlobalArguments
  readonly proxyEnv: readonly string[]
  readonly needed: NeededPaths
}

/** Build arguments that are never in the environment of commands. */
const silentArguments = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"]
export const isSilentArgument = (key: string): boolean => silentArguments.includes(key)

/** Notes variables that no ARG or ENV defines. */
export const reportUndefined = (
  around: Surroundings,
  state: StageState,
  unmatched: readonly string[],
  place: Place,
): void => {
  for (const name of unmatched) {
    if (state.args.some(({ key }) => key === name) || isSilentArgument(name)) continue
    around.findings.report("UndefinedVar", place, name, suggestion(name, state.env.keys()))
  }
}

/** A word with the stage's variables; undefined ones are noted. */
export const expandIn = (
  around: Surroundings,
  state: StageState,
  word: string,
  place: Place,
  options: ExpandOptions & { readonly escape?: string } = {},
): string => {
  const expanded = expandWord(word, (name) => state.env.get(name), options.escape ?? around.escape, options)
  reportUndefined(around, state, expanded.unmatched, place)
  return expanded.text
}

/** An instruction for a step's name: expanded where that can be done, else as written. */
export const shownWords = (
  around: Surroundings,
  original: string,
  lookup: (name: string) => string | undefined,
  options: ExpandOptions = {},
): string => {
  let words = original
  try {
    words = expandWord(original, lookup, around.escape, options).text
  } catch {
    // It is only a name.
  }
  return words.replace(/^\S+/, (keyword) => keyword.toUpperCase())
}

/** What a context is, for its digest; its contents are known when it is open. */
const identityOf = (request: BuildRequest, source: ContextSource): readonly string[] => {
  switch (source.type) {
    case "directory":
      return ["directory", source.path]
    case "synced":
      return ["synced", source.key, source.name]
    case "remote":
      return ["remote", source.url]
    case "image":
      return ["image", source.reference]
    case "layout":
      return ["layout", source.digest]
    case "tar":
      return ["tar", request.id ?? ""]
    case "result":
      return ["result", source.image.chainId]
    case "empty":
      return ["empty"]
  }
}

/** The main context (name "") or a named one. */
export const contextNode = (around: Surroundings, name: string): ContextNode => {
  const source = name === "" ? around.request.context : around.request.namedContexts.get(name)
  const shown = name === "" ? "[internal] load build context" : `[context ${name}] load from client`
  return around.nodes.make<"context">(
    { type: "context", context: name, name: shown, platform: around.target, fresh: false },
    source === undefined ? [] : identityOf(around.request, source),
  )
}
