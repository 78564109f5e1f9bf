// COPY and ADD: sources of all kinds become actions of one file node. WORKDIR, which makes a directory, is here too.
import { posix } from "node:path"
import type { InstructionOf } from "../dockerfile/instructions.ts"
import { quoted } from "../dockerfile/quoted.ts"
import { BuildFailure } from "../failure.ts"
import { cleanPath } from "../ignore/clean-path.ts"
import { gitAddress, isHttpAddress } from "../sources/address.ts"
import type { CopyAction, FileNode, Input, MakeDirectoryAction, MakeFileAction } from "./graph.ts"
import { classicText, copiedContent } from "./history-texts.ts"
import { checkMode } from "./modes.ts"
import { stepName } from "./naming.ts"
import { sourceTree, wholeTree } from "./source-tree.ts"
import type { PlannedInstruction, PlannedStage, StageState } from "./stage.ts"
import { contextNode, expandIn, type Surroundings, shownWords } from "./surroundings.ts"

type Copy = InstructionOf<"ADD" | "COPY">

const invalid = (message: string) => new BuildFailure("invalid", message, {})

/** Absolute; a trailing slash, which means a directory, stays. */
const destinationPath = (directory: string, written: string): string => {
  const absolute = posix.resolve(directory, written)
  const isDirectory = written === "" || /(?:^|\/)\.?$/.test(written)
  return isDirectory && absolute !== "/" ? `${absolute}/` : absolute
}

/** Relative to a root, "." for the root itself. */
const relativeToRoot = (path: string): string => posix.resolve("/", path).slice(1) || "."

const hasWildcard = (path: string): boolean => /[*?[]|\\./.test(path)

/** An instruction with its variables in place. */
interface Expanded {
  readonly sources: readonly string[]
  readonly destination: string
  readonly chown: string
  readonly mode: number | string | undefined
  readonly chmod: string
  readonly checksum: string
  readonly documents: readonly { readonly name: string; readonly content: string }[]
}

const expandCopy = (around: Surroundings, state: StageState, copy: Copy): Expanded => {
  const expand = (word: string) => expandIn(around, state, word, copy.place)
  const chown = expand(copy.chown ?? "")
  const chmod = expand(copy.chmod ?? "")
  return {
    chown,
    chmod,
    checksum: expand(copy.checksum ?? ""),
    sources: copy.sources.map(expand),
    destination: expand(copy.destination),
    mode: chmod === "" ? undefined : checkMode(chmod),
    documents: copy.heredocs.map(({ name, content, expand: expands }) => ({
      name,
      content: expands
        ? expandIn(around, state, content, copy.place, { escape: "\\", ignoreQuotes: true })
        : content,
    })),
  }
}

const checkChecksum = (copy: Copy, expanded: Expanded): void => {
  if (expanded.checksum === "") return
  if (copy.type === "COPY") throw invalid("checksum can't be specified for COPY")
  const [source = "", ...more] = expanded.sources
  if (more.length > 0) throw invalid("checksum can't be specified for multiple sources")
  if (!isHttpAddress(source) && gitAddress(source) === undefined)
    throw invalid("checksum requires HTTP(S) or Git sources")
}

/** What the classic builder refuses: sources above the context, and several without a slash behind the destination. */
const checkClassic = (around: Surroundings, copy: Copy, expanded: Expanded): void => {
  if (around.request.face !== "classic") return
  const outside = expanded.sources.find((source) => /^\.\.(?:\/|$)/.test(posix.normalize(source)))
  if (outside !== undefined && copy.from === undefined)
    throw invalid(`${copy.type} failed: forbidden path outside the build context: ${outside} ()`)
  const count = expanded.sources.length + expanded.documents.length
  if (count < 2 || expanded.destination.endsWith("/")) return
  throw invalid(
    `When using ${copy.type} with more than one source file, the destination must be a directory and end with a /`,
  )
}

/** The tree that plain sources are taken from, and whether its files keep their owners. */
const treeOf = (
  around: Surroundings,
  stage: PlannedStage,
  copy: Copy,
  source: PlannedStage | undefined,
): Input => {
  if (source === undefined) return contextNode(around, "")
  if (source.end === undefined)
    throw invalid(
      `cannot copy from stage ${quoted(copy.from ?? "")}, it needs to be defined before current stage ${quoted(stage.shown)}`,
    )
  return source.end.root
}

const fileNameOf = (address: string): string => {
  const path = URL.canParse(address) ? new URL(address).pathname : ""
  let name = posix.basename(path)
  try {
    name = decodeURIComponent(name)
  } catch {
    // A name that is no escaped text stays as it is.
  }
  return name === "" || name === "." || name === ".." || name.includes("/") ? "__unnamed__" : name
}

const remoteInput = (
  around: Surroundings,
  stage: PlannedStage,
  state: StageState,
  copy: Copy,
  expanded: Expanded,
  address: string,
  name: string,
): { readonly input: Input; readonly path: string } | undefined => {
  const common = { name, platform: state.platform, place: copy.place, fresh: stage.fresh }
  const git = gitAddress(address)
  if (git !== undefined && !git.likeLocal) {
    if (copy.type === "COPY") throw invalid("source can't be a git ref for COPY")
    const { url, ref, subdirectory } = git
    const input = around.nodes.make<"git">({
      ...common,
      type: "git",
      url,
      ref,
      subdirectory,
      keepGitDirectory: copy.keepGitDir ?? false,
      checksum: expanded.checksum,
    })
    return { input, path: "." }
  }
  if (!isHttpAddress(address)) return undefined
  if (copy.type === "COPY") throw invalid("source can't be a URL for COPY")
  if (
    expanded.checksum !== "" &&
    !/^sha(?:256:[0-9a-f]{64}|384:[0-9a-f]{96}|512:[0-9a-f]{128})$/.test(expanded.checksum)
  )
    throw invalid(
      /^[a-z0-9+._-]+:/.test(expanded.checksum)
        ? "invalid checksum digest length"
        : "invalid checksum digest format",
    )
  const filename = fileNameOf(address)
  const input = around.nodes.make<"http">({
    ...common,
    type: "http",
    url: address,
    checksum: expanded.checksum,
    filename,
  })
  return { input, path: filename }
}

const copyActions = (
  around: Surroundings,
  stage: PlannedStage,
  state: StageState,
  copy: Copy,
  source: PlannedStage | undefined,
  expanded: Expanded,
  name: string,
): readonly (CopyAction | MakeFileAction)[] => {
  const destination = destinationPath(state.directory, expanded.destination)
  const common = {
    type: "copy" as const,
    destination,
    ...(expanded.mode === undefined ? {} : { mode: expanded.mode }),
    exclude: copy.exclude,
  }
  const copies = expanded.sources.map((written): CopyAction => {
    const owner = expanded.chown
    const remote = remoteInput(around, stage, state, copy, expanded, written, name)
    if (remote !== undefined) {
      const unpack = remote.input !== "scratch" && remote.input.type === "http" && copy.unpack === true
      const { input, path } = remote
      return {
        ...common,
        input,
        sources: [path],
        owner,
        parents: false,
        unpack,
        follow: false,
        required: true,
      }
    }
    const tree = treeOf(around, stage, copy, source)
    if (source === undefined && around.ignored(written))
      around.findings.report(
        "CopyIgnoredFile",
        copy.place,
        copy.type === "ADD" ? "Add" : "Copy",
        cleanPath(written),
      )
    const path = copy.parents ? pivoted(written) : relativeToRoot(written)
    return {
      ...common,
      input: sourceTree(around, tree, written),
      sources: [path],
      owner,
      parents: copy.parents,
      unpack: copy.unpack ?? copy.type === "ADD",
      follow: true,
      required: around.request.face === "classic" || !hasWildcard(written),
    }
  })
  const documents = expanded.documents.map(
    ({ name: file, content }): MakeFileAction => ({
      type: "file",
      ...(destination.endsWith("/")
        ? { path: `${destination}${file}` }
        : { path: destination, nameInDirectory: file }),
      content: new TextEncoder().encode(content),
      owner: expanded.chown === "" ? "0:0" : expanded.chown,
      mode: expanded.mode,
    }),
  )
  return [...copies, ...documents]
}

/** --parents: the part before "/./" is left out of the result; without one all of it is kept. */
const pivoted = (written: string): string => {
  const at = written.indexOf("/./")
  if (at < 0) return relativeToRoot(written)
  return `${relativeToRoot(written.slice(0, at))}/./${relativeToRoot(written.slice(at + 3))}`
}

const createdByOf = (copy: Copy, expanded: Expanded): string =>
  [
    copy.type,
    ...(copy.parents ? ["--parents"] : []),
    ...(expanded.chown === "" ? [] : [`--chown=${expanded.chown}`]),
    ...(expanded.chmod === "" ? [] : [`--chmod=${expanded.chmod}`]),
    ...expanded.sources,
    ...expanded.documents.map(({ name }) => `<<${name}`),
    expanded.destination,
    "# buildkit",
  ].join(" ")

export const applyCopy = (
  around: Surroundings,
  stage: PlannedStage,
  state: StageState,
  planned: PlannedInstruction,
  copy: Copy,
): StageState => {
  const expanded = expandCopy(around, state, copy)
  checkChecksum(copy, expanded)
  checkClassic(around, copy, expanded)
  const shown = shownWords(around, copy.original, (name) => state.env.get(name))
  const name = stepName(stage, shown, planned.onBuild, state.env, around.several ? state.platform : undefined)
  const node = around.nodes.make<"file">({
    type: "file",
    root: wholeTree(around, state.root),
    independent: copy.link,
    actions: copyActions(around, stage, state, copy, planned.sources[0], expanded, name),
    name,
    platform: state.platform,
    place: copy.place,
    fresh: stage.fresh,
  })
  const chown = expanded.chown === "" ? "" : `--chown=${expanded.chown}`
  const classic = `${copy.type} ${chown}${copiedContent} in ${expanded.destination} `
  const step = {
    createdBy: createdByOf(copy, expanded),
    classicCreatedBy: classicText(state.config, classic, true),
    original: copy.original,
    node,
    config: state.config,
  }
  return { ...state, root: node, steps: [...state.steps, step] }
}

/** An absolute path stays as written; a relative one is joined to the one before. */
const joined = (current: string, path: string): string =>
  posix.isAbsolute(path) ? path : posix.join("/", current === "" ? "/" : current, path)

export const applyWorkdir = (
  around: Surroundings,
  stage: PlannedStage,
  state: StageState,
  planned: PlannedInstruction,
  workdir: InstructionOf<"WORKDIR">,
): StageState => {
  const path = expandIn(around, state, workdir.path, workdir.place)
  if (!state.directorySet && !posix.isAbsolute(path))
    around.findings.report("WorkdirRelativePath", workdir.place, path)
  const workingDirectory = joined(state.config.workingDirectory, path)
  const directory = posix.resolve("/", workingDirectory)
  const config = { ...state.config, workingDirectory }
  const moved: StageState = { ...state, config, directory, directorySet: true }
  const text = `WORKDIR ${workingDirectory}`
  const step = {
    createdBy: text,
    classicCreatedBy: classicText(config, text, true),
    original: workdir.original,
    config,
  }
  if (workingDirectory === "/") return { ...moved, steps: [...state.steps, step] }
  const shown = shownWords(around, workdir.original, (name) => state.env.get(name))
  const node: FileNode = around.nodes.make<"file">({
    type: "file",
    root: wholeTree(around, state.root),
    independent: false,
    // The classic builder's directories are root's, whoever the user is.
    actions: [directoryAction(directory, around.request.face === "classic" ? "" : state.config.user)],
    name: stepName(stage, shown, planned.onBuild, state.env, around.several ? state.platform : undefined),
    platform: state.platform,
    place: workdir.place,
    fresh: stage.fresh,
  })
  return { ...moved, root: node, steps: [...state.steps, { ...step, node }] }
}

const directoryAction = (path: string, user: string): MakeDirectoryAction => ({
  type: "directory",
  path,
  owner: user,
  mode: 0o755,
})
