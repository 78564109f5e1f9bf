// Every verb by its words, loaded only when typed (eager imports made start-up ten times slower).
import type { Verb } from "./verb.ts"

interface Entry {
  readonly summary: string
  readonly load: () => Promise<{ verb: Verb }>
}

const container: Readonly<Record<string, Entry>> = {
  attach: {
    summary: "Attach local standard input, output, and error streams to a running container",
    load: () => import("./verbs/container/attach.ts"),
  },
  commit: {
    summary: "Create a new image from a container's changes",
    load: () => import("./verbs/container/commit.ts"),
  },
  cp: {
    summary: "Copy files/folders between a container and the local filesystem",
    load: () => import("./verbs/container/cp.ts"),
  },
  create: { summary: "Create a new container", load: () => import("./verbs/container/create.ts") },
  diff: {
    summary: "Inspect changes to files or directories on a container's filesystem",
    load: () => import("./verbs/container/diff.ts"),
  },
  exec: {
    summary: "Execute a command in a running container",
    load: () => import("./verbs/container/exec.ts"),
  },
  export: {
    summary: "Export a container's filesystem as a tar archive",
    load: () => import("./verbs/container/export.ts"),
  },
  inspect: {
    summary: "Display detailed information on one or more containers",
    load: () => import("./verbs/container/inspect.ts"),
  },
  kill: { summary: "Kill one or more running containers", load: () => import("./verbs/container/kill.ts") },
  logs: { summary: "Fetch the logs of a container", load: () => import("./verbs/container/logs.ts") },
  ls: { summary: "List containers", load: () => import("./verbs/container/ls.ts") },
  pause: {
    summary: "Pause all processes within one or more containers",
    load: () => import("./verbs/container/pause.ts"),
  },
  port: {
    summary: "List port mappings or a specific mapping for the container",
    load: () => import("./verbs/container/port.ts"),
  },
  prune: { summary: "Remove all stopped containers", load: () => import("./verbs/container/prune.ts") },
  rename: { summary: "Rename a container", load: () => import("./verbs/container/rename.ts") },
  restart: { summary: "Restart one or more containers", load: () => import("./verbs/container/restart.ts") },
  rm: { summary: "Remove one or more containers", load: () => import("./verbs/container/rm.ts") },
  run: {
    summary: "Create and run a new container from an image",
    load: () => import("./verbs/container/run.ts"),
  },
  start: {
    summary: "Start one or more stopped containers",
    load: () => import("./verbs/container/start.ts"),
  },
  stats: {
    summary: "Display a live stream of container(s) resource usage statistics",
    load: () => import("./verbs/container/stats.ts"),
  },
  stop: { summary: "Stop one or more running containers", load: () => import("./verbs/container/stop.ts") },
  top: {
    summary: "Display the running processes of a container",
    load: () => import("./verbs/container/top.ts"),
  },
  unpause: {
    summary: "Unpause all processes within one or more containers",
    load: () => import("./verbs/container/unpause.ts"),
  },
  update: {
    summary: "Update configuration of one or more containers",
    load: () => import("./verbs/container/update.ts"),
  },
  wait: {
    summary: "Block until one or more containers stop, then print their exit codes",
    load: () => import("./verbs/container/wait.ts"),
  },
  why: {
    summary: "Explain in words why a container ended or does not start",
    load: () => import("./verbs/container/why.ts"),
  },
}

const image: Readonly<Record<string, Entry>> = {
  build: { summary: "Build an image from a Dockerfile", load: () => import("./verbs/builder/build.ts") },
  copy: {
    summary: "Copy an image from one registry to another without storing it here",
    load: () => import("./verbs/image/copy.ts"),
  },
  diff: {
    summary: "Inspect how the files of a second image differ from those of a first",
    load: () => import("./verbs/image/diff.ts"),
  },
  squash: {
    summary: "Make an image with all files of another in one layer",
    load: () => import("./verbs/image/squash.ts"),
  },
  verify: {
    summary: "Prove the signature of an image at its registry",
    load: () => import("./verbs/image/verify.ts"),
  },
  history: { summary: "Show the history of an image", load: () => import("./verbs/image/history.ts") },
  import: {
    summary: "Import the contents from a tarball to create a filesystem image",
    load: () => import("./verbs/image/import.ts"),
  },
  inspect: {
    summary: "Display detailed information on one or more images",
    load: () => import("./verbs/image/inspect.ts"),
  },
  load: { summary: "Load an image from a tar archive or STDIN", load: () => import("./verbs/image/load.ts") },
  ls: { summary: "List images", load: () => import("./verbs/image/ls.ts") },
  prune: { summary: "Remove unused images", load: () => import("./verbs/image/prune.ts") },
  pull: { summary: "Download an image from a registry", load: () => import("./verbs/image/pull.ts") },
  push: { summary: "Upload an image to a registry", load: () => import("./verbs/image/push.ts") },
  rm: { summary: "Remove one or more images", load: () => import("./verbs/image/rm.ts") },
  save: {
    summary: "Save one or more images to a tar archive (streamed to STDOUT by default)",
    load: () => import("./verbs/image/save.ts"),
  },
  tag: {
    summary: "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    load: () => import("./verbs/image/tag.ts"),
  },
}

const builder: Readonly<Record<string, Entry>> = {
  build: { summary: "Build an image from a Dockerfile", load: () => import("./verbs/builder/build.ts") },
  du: { summary: "Show what the build cache holds", load: () => import("./verbs/builder/du.ts") },
  history: {
    summary: "List builds that ran or run, or forget some",
    load: () => import("./verbs/builder/history.ts"),
  },
  prune: { summary: "Remove build cache", load: () => import("./verbs/builder/prune.ts") },
}

const context: Readonly<Record<string, Entry>> = {
  create: {
    summary: "Create a context",
    load: async () => ({ verb: (await import("./verbs/context/define.ts")).create }),
  },
  export: {
    summary: "Export a context to a tar archive FILE or a tar stream on STDOUT.",
    load: async () => ({ verb: (await import("./verbs/context/archive.ts")).exported }),
  },
  import: {
    summary: "Import a context from a tar file",
    load: async () => ({ verb: (await import("./verbs/context/archive.ts")).imported }),
  },
  inspect: {
    summary: "Display detailed information on one or more contexts",
    load: () => import("./verbs/context/inspect.ts"),
  },
  ls: { summary: "List contexts", load: () => import("./verbs/context/ls.ts") },
  rm: { summary: "Remove one or more contexts", load: () => import("./verbs/context/rm.ts") },
  show: {
    summary: "Print the name of the current context",
    load: async () => ({ verb: (await import("./verbs/context/use.ts")).show }),
  },
  update: {
    summary: "Update a context",
    load: async () => ({ verb: (await import("./verbs/context/define.ts")).update }),
  },
  use: {
    summary: "Set the current docker context",
    load: async () => ({ verb: (await import("./verbs/context/use.ts")).use }),
  },
}

const manifest: Readonly<Record<string, Entry>> = {
  annotate: {
    summary: "Add additional information to a local image manifest",
    load: () => import("./verbs/manifest/annotate.ts"),
  },
  create: {
    summary: "Create a local manifest list for annotating and pushing to a registry",
    load: () => import("./verbs/manifest/create.ts"),
  },
  inspect: {
    summary: "Display an image manifest, or manifest list",
    load: () => import("./verbs/manifest/inspect.ts"),
  },
  push: { summary: "Push a manifest list to a repository", load: () => import("./verbs/manifest/push.ts") },
  rm: {
    summary: "Delete one or more manifest lists from local storage",
    load: () => import("./verbs/manifest/rm.ts"),
  },
}

const volume: Readonly<Record<string, Entry>> = {
  create: { summary: "Create a volume", load: () => import("./verbs/volume/create.ts") },
  inspect: {
    summary: "Display detailed information on one or more volumes",
    load: () => import("./verbs/volume/inspect.ts"),
  },
  ls: { summary: "List volumes", load: () => import("./verbs/volume/ls.ts") },
  prune: { summary: "Remove unused local volumes", load: () => import("./verbs/volume/prune.ts") },
  rm: { summary: "Remove one or more volumes", load: () => import("./verbs/volume/rm.ts") },
}

const network: Readonly<Record<string, Entry>> = {
  connect: {
    summary: "Connect a container to a network",
    load: () => import("./verbs/network/connect.ts"),
  },
  create: { summary: "Create a network", load: () => import("./verbs/network/create.ts") },
  disconnect: {
    summary: "Disconnect a container from a network",
    load: () => import("./verbs/network/disconnect.ts"),
  },
  inspect: {
    summary: "Display detailed information on one or more networks",
    load: () => import("./verbs/network/inspect.ts"),
  },
  ls: { summary: "List networks", load: () => import("./verbs/network/ls.ts") },
  prune: { summary: "Remove all unused networks", load: () => import("./verbs/network/prune.ts") },
  rm: { summary: "Remove one or more networks", load: () => import("./verbs/network/rm.ts") },
}

const registry: Readonly<Record<string, Entry>> = {
  collect: {
    summary: "Remove blobs that no manifest of a registry needs",
    load: () => import("./verbs/registry/collect.ts"),
  },
  serve: {
    summary: "Serve a registry from a directory of this machine",
    load: () => import("./verbs/registry/serve.ts"),
  },
}

const system: Readonly<Record<string, Entry>> = {
  df: { summary: "Show disk usage", load: () => import("./verbs/system/df.ts") },
  "dial-stdio": {
    summary: "Proxy the stdio stream to the daemon connection",
    load: () => import("./verbs/system/dial-stdio.ts"),
  },
  events: { summary: "Get real time events from the server", load: () => import("./verbs/system/events.ts") },
  info: { summary: "Display system-wide information", load: () => import("./verbs/system/info.ts") },
  prune: { summary: "Remove unused data", load: () => import("./verbs/system/prune.ts") },
  service: {
    summary: "Run the daemon as a systemd service, or no longer",
    load: () => import("./verbs/system/service.ts"),
  },
}

const top: Readonly<Record<string, Entry>> = {
  completion: {
    summary: "Print the completion script of a shell",
    load: async () => ({ verb: (await import("./verbs/system/completion.ts")).completion }),
  },
  inspect: {
    summary: "Return low-level information on objects",
    load: () => import("./verbs/system/inspect.ts"),
  },
  login: { summary: "Authenticate to a registry", load: () => import("./verbs/system/login.ts") },
  logout: { summary: "Log out from a registry", load: () => import("./verbs/system/logout.ts") },
  search: { summary: "Search a registry for images", load: () => import("./verbs/system/search.ts") },
  version: { summary: "Show the Sloop version information", load: () => import("./verbs/system/version.ts") },
}

/** Management words and what is beneath them, as docker groups them. */
export const groups: Readonly<
  Record<string, { readonly summary: string; readonly verbs: Readonly<Record<string, Entry>> }>
> = {
  builder: { summary: "Manage builds", verbs: builder },
  container: { summary: "Manage containers", verbs: container },
  context: { summary: "Manage contexts", verbs: context },
  image: { summary: "Manage images", verbs: image },
  manifest: { summary: "Manage manifests and manifest lists", verbs: manifest },
  network: { summary: "Manage networks", verbs: network },
  registry: { summary: "Serve images to other machines", verbs: registry },
  system: { summary: "Manage the engine", verbs: system },
  volume: { summary: "Manage volumes", verbs: volume },
}

const aliases: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  builder: { b: "build" },
  container: { list: "ls", ps: "ls", remove: "rm" },
  context: { list: "ls", remove: "rm" },
  image: { list: "ls", remove: "rm" },
  network: { list: "ls", remove: "rm" },
  volume: { list: "ls", remove: "rm" },
}

const { ls: _ls, prune: _prune, inspect: _inspect, ...containerShort } = container
const {
  copy: _imageCopy,
  diff: _imageDiff,
  squash: _imageSquash,
  verify: _imageVerify,
  ls: _imageLs,
  prune: _imagePrune,
  inspect: _imageInspect,
  rm: _imageRm,
  ...imageShort
} = image

/** Verbs typed without a management word. */
export const shortVerbs: Readonly<Record<string, Entry>> = {
  ...containerShort,
  ...imageShort,
  ...top,
  events: system.events as Entry,
  images: image.ls as Entry,
  info: system.info as Entry,
  ps: container.ls as Entry,
  rmi: image.rm as Entry,
}

/** Asked by the shells' scripts only. */
const completeWords: Entry = {
  summary: "Complete the last of the words",
  load: async () => ({ verb: (await import("./verbs/system/completion.ts")).completed }),
}

const addPort: Entry = {
  summary: "Publish further ports of a container",
  load: async () => ({ verb: (await import("./verbs/container/port-change.ts")).add }),
}
const removePort: Entry = {
  summary: "Take back published ports of a container",
  load: async () => ({ verb: (await import("./verbs/container/port-change.ts")).remove }),
}

/** `port add C 80`: docker's own `port` has two words at most after it, and this one three at least. */
const portChanges: Readonly<Record<string, Entry>> = { add: addPort, remove: removePort, rm: removePort }

/** The verb that the words name, and how many words it took; undefined when there is none. */
export function findVerb(
  words: readonly string[],
): { entry: Entry; name: string; length: number } | undefined {
  const [first = "", second = ""] = words
  const portChange = first === "port" && words.length > 3 ? portChanges[second] : undefined
  if (portChange) return { entry: portChange, name: `port ${second}`, length: 2 }
  if (first === "__complete") return { entry: completeWords, name: first, length: 1 }
  const noun = first === "buildx" ? "builder" : first
  const group = groups[noun]
  if (group) {
    const name = aliases[noun]?.[second] ?? second
    const entry = Object.hasOwn(group.verbs, name) ? group.verbs[name] : undefined
    return entry ? { entry, name: `${noun} ${name}`, length: 2 } : undefined
  }
  const entry = Object.hasOwn(shortVerbs, first) ? shortVerbs[first] : undefined
  return entry ? { entry, name: first, length: 1 } : undefined
}
