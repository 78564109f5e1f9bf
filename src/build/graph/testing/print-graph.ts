// A graph as text, for golden files: results first, then the nodes that they need, each once.
import { encodeExecutionConfig } from "../../../oci/execution-config.ts"
import { formatPlatform } from "../../../oci/platform.ts"
import type { ExecMount, FileNode, Graph, GraphResult, Input, Node, StageStep } from "../graph.ts"
import { nodeInputs } from "../node-digest.ts"

type Name = (input: Input) => string

const shown = (value: unknown): string =>
  JSON.stringify(value).replaceAll("\\u0000content\\u0000", "<content>")

const octal = (mode: number | string | undefined): string =>
  typeof mode === "number" ? `0${mode.toString(8)}` : (mode ?? "as it is")

const mountText = (mount: ExecMount, name: Name): string => {
  const { type } = mount
  switch (type) {
    case "bind":
      return `bind ${name(mount.input)}:${mount.source} at ${mount.target}${mount.readOnly ? "" : " writable"}`
    case "cache": {
      const from = mount.input === undefined ? "" : ` from ${name(mount.input)}:${mount.source}`
      const access = mount.readOnly ? " read-only" : ""
      return `cache ${mount.id} at ${mount.target} ${mount.sharing} ${octal(mount.mode)} ${mount.uid}:${mount.gid}${access}${from}`
    }
    case "tmpfs":
      return `tmpfs at ${mount.target} size ${mount.size}`
    case "secret": {
      const places = [mount.target ?? [], mount.env === undefined ? [] : `$${mount.env}`].flat().join(" and ")
      return `secret ${mount.id} at ${places} ${octal(mount.mode)} ${mount.uid}:${mount.gid}${mount.required ? " required" : ""}`
    }
    case "ssh":
      return `ssh ${mount.id} at ${mount.target} ${octal(mount.mode)} ${mount.uid}:${mount.gid}${mount.required ? " required" : ""}`
  }
}

const actionText = (action: FileNode["actions"][number], name: Name): string => {
  if (action.type === "directory") return `mkdir ${action.path} ${octal(action.mode)} owner "${action.owner}"`
  if (action.type === "file") {
    const also = action.nameInDirectory === undefined ? "" : ` (or ${action.nameInDirectory} in it)`
    const content = shown(new TextDecoder().decode(action.content))
    return `write ${action.path}${also} ${octal(action.mode)} owner "${action.owner}" ${content}`
  }
  const flags = [
    ...(action.parents ? ["parents"] : []),
    ...(action.unpack ? ["unpack"] : []),
    ...(action.follow ? ["follow"] : []),
    ...(action.required ? ["required"] : []),
    ...(action.exclude.length === 0 ? [] : [`exclude ${shown(action.exclude)}`]),
  ]
  return `copy ${name(action.input)}:${shown(action.sources)} to ${action.destination} ${octal(action.mode)} owner "${action.owner}" ${flags.join(" ")}`.trimEnd()
}

const nodeLines = (node: Node, name: Name): string[] => {
  switch (node.type) {
    case "image":
      return [`image ${node.reference} ${node.resolved.digest.slice(0, 15)}`]
    case "context":
      return [`context "${node.context}"`]
    case "git":
      return [
        `git ${node.url} ref "${node.ref}" subdirectory "${node.subdirectory}"`,
        ...(node.keepGitDirectory ? ["keeps .git"] : []),
        ...(node.checksum === "" ? [] : [`checksum ${node.checksum}`]),
      ]
    case "http":
      return [
        `http ${node.url} as ${node.filename}`,
        ...(node.checksum === "" ? [] : [`checksum ${node.checksum}`]),
      ]
    case "exec":
      return [
        `exec on ${name(node.root)}`,
        `argv ${shown(node.argv)}`,
        `env ${shown(node.env)}`,
        `in ${node.workingDirectory} as "${node.user}"`,
        ...node.mounts.map((mount) => mountText(mount, name)),
        ...(node.proxyEnv.length === 0 ? [] : [`proxies ${shown(node.proxyEnv)}`]),
        ...(node.network === "default" ? [] : [`network ${node.network}`]),
        ...(node.security === "sandbox" ? [] : [`security ${node.security}`]),
        ...(node.extraHosts.length === 0 ? [] : [`hosts ${shown(node.extraHosts)}`]),
        ...(node.argumentsSeen.length === 0 ? [] : [`arguments ${shown(node.argumentsSeen)}`]),
      ]
    case "file":
      return [
        `files on ${name(node.root)}${node.independent ? ", independent" : ""}`,
        ...node.actions.map((action) => actionText(action, name)),
      ]
  }
}

const stepText = (step: StageStep, name: Name): string =>
  `  ${step.node === undefined ? "-" : name(step.node)} ${shown(step.createdBy)}\n    ${shown(step.classicCreatedBy)}`

const resultLines = (result: GraphResult, name: Name): string[] => [
  `result ${formatPlatform(result.platform)} ${name(result.node)}${result.base === undefined ? "" : " with a base"}`,
  ...(result.config.author === "" ? [] : [`  author ${result.config.author}`]),
  ...Object.entries(encodeExecutionConfig(result.config.config)).map(
    ([key, value]) => `  ${key} ${shown(value)}`,
  ),
  "steps",
  ...result.steps.map((step) => stepText(step, name)),
]

/** Numbers nodes as they are met, inputs before what is made of them. */
const number = (inputs: readonly Input[]): Map<string, { node: Node; at: number }> => {
  const known = new Map<string, { node: Node; at: number }>()
  const visit = (input: Input): void => {
    if (input === "scratch" || known.has(input.digest)) return
    for (const other of nodeInputs(input)) visit(other)
    known.set(input.digest, { node: input, at: known.size + 1 })
  }
  for (const input of inputs) visit(input)
  return known
}

export const printGraph = (graph: Graph): string => {
  const nodes = number(graph.results.map(({ node }) => node))
  const name: Name = (input) => (input === "scratch" ? "scratch" : `#${nodes.get(input.digest)?.at ?? "?"}`)
  const lines = [
    ...graph.results.flatMap((result) => resultLines(result, name)),
    "nodes",
    ...[...nodes.values()].flatMap(({ node, at }) => [
      `  #${at} ${node.name}${node.fresh ? " (fresh)" : ""} ${formatPlatform(node.platform)}`,
      ...nodeLines(node, name).map((line) => `      ${line}`),
    ]),
    `needs ${graph.neededPaths === undefined ? "everything" : shown(graph.neededPaths)}`,
    ...[...graph.neededPathsOf].map(
      ([context, paths]) => `needs of ${context}: ${shown(paths ?? "everything")}`,
    ),
    ...graph.findings.map(
      ({ rule, message, place }) => `finding ${place.first}-${place.last} ${rule}: ${message}`,
    ),
    ...(graph.unusedArguments.length === 0 ? [] : [`unused ${shown(graph.unusedArguments)}`]),
  ]
  return `${lines.join("\n")}\n`
}
